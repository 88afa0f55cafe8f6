"""What a dataset holds, looked at, and the working copy of its images that methods see, made once."""

import logging
import warnings
from pathlib import Path
from typing import Literal

import numpy as np

from .data.access import RawView
from .data.cache import build_once, cache_key
from .data.checksums import is_whole, publishing_checked
from .data.files import writing
from .data.folders import odd_folders
from .data.index import Index
from .data.store import FORMAT as STORE_FORMAT
from .data.store import ImageStore
from .data.survey import OnUnreadable, Survey
from .data.surveying import survey
from .errors import FolderWarning, ThinEvidenceWarning, UnreadableError
from .progress import Progress
from .results import THIN, Unreadable

Reread = Literal["changed", "all"]
_logger = logging.getLogger(__name__)


def look_at(
    root: Path,
    view: RawView,
    on_unreadable: OnUnreadable,
    reread: Reread,
    max_side: int,
    workers: int | None,
    progress: Progress,
) -> Survey:
    """Surveys a dataset with the index in the cache folder; see `survey` and `Sanitizer`."""
    with progress.stage("read") as bar:
        origins = view.origins()
        index = None if origins is None else Index(root, origins)
        return survey(
            view, on_unreadable=on_unreadable, num_workers=workers, bar=bar, index=index,
            trusted=reread == "changed", max_side=max_side,
        )  # fmt: skip


def warn_of(view: RawView, found: Survey, stacklevel: int) -> None:
    """Warns of classes with few images and of folders that are hardly classes.

    Args:
        stacklevel: frames from the caller of this function to the user's code.
    """
    classes, counts = np.unique(found.labels[found.readable], return_counts=True)
    size = "x".join(map(str, found.working_size))
    _logger.info("%d images of %d classes, %s", len(found.readable), len(classes), size)
    smallest = int(counts.min())
    if smallest < THIN:
        warnings.warn(
            f"the smallest class has {smallest} images: with fewer than {THIN} the evidence is thin",
            ThinEvidenceWarning,
            stacklevel=stacklevel + 1,
        )
    for text in odd_folders(view, found):
        warnings.warn(text, FolderWarning, stacklevel=stacklevel + 1)


def check_skipped(unreadable: list[Unreadable], on_unreadable: OnUnreadable) -> None:
    """What is left out in the cache may have been skipped by another call.

    Raises:
        UnreadableError: this one skips nothing.
    """
    if on_unreadable == "raise":
        first = unreadable[0]
        raise UnreadableError(first.reason, first.file, f"item {first.position}")


def store_folder(root: Path, found: Survey) -> Path:
    """Where in the cache folder the working copy lies, shared by all runs on the same content."""
    key = cache_key(content=found.digest, levels=found.levels, max_side=found.max_side, format=STORE_FORMAT)
    return root / "stores" / key


def open_store(
    root: Path, view: RawView, found: Survey, on_unreadable: OnUnreadable, workers: int | None, progress: Progress
) -> ImageStore:
    """The working copy, which is made where it is not there.

    Raises:
        CacheError: the cache folder cannot be written or trusted.
        UnreadableError: an image cannot be decoded, and is not to be skipped.
    """
    folder = store_folder(root, found)

    def build() -> None:
        with progress.stage("store") as bar, writing(root), publishing_checked(folder) as temporary:
            ImageStore.build(view, found, temporary, on_unreadable=on_unreadable, num_workers=workers, bar=bar)

    build_once(root, f"store-{folder.name}", lambda: is_whole(folder), build)
    return ImageStore.open(folder)
