"""SanitizedDataset: the one-line change."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from .data.access import KEEP, RawView, Record
from .data.cache import Cleaned
from .data.items import class_of, label_like
from .data.pixels import Encoded, from_eight_bit
from .data.reopened import ShardSet
from .data.served import Replacement
from .data.store import OnUnreadable
from .errors import DatasetError
from .methods.base import OnPoison
from .report import Report
from .sanitizer import Sanitizer

if TYPE_CHECKING:
    from .restoration import Restorer


class SanitizedDataset(Replacement):
    """A dataset's clean samples, in its own structure and through its own transforms.

    Cleaning happens on first access, or in `prepare()`; the result is cached by content, so that later runs, workers
    and other processes open it. Samples that were kept come from the wrapped dataset, exactly as they are there, and
    are checked against the content that was cleaned; restored samples have their pixels and label replaced; dropped
    ones are not served.

    Args:
        dataset: any map-style dataset with items (image, label, ...), mappings or namedtuples. Images are PIL images,
            or arrays or tensors [H,W], [H,W,C] or [C,H,W]: uint8, floats in 0..1 (or 0..255 if any pixel of the
            dataset exceeds 1), integers in 0..255 (or 0..65535).
        method: a registered method, "pdautor", "bab" or "ensemble".
        config: a preset's name ("paper", "default", "fast") or the method's configuration.
        on_poison: what happens to flagged samples: "restore", "drop" or "keep"; the method's own when None.
        on_unreadable: what happens where images cannot be read: "raise" an error, or "skip" them. They are then not
            served, and the report names them.
        restorer: a `Restorer`, a local folder or a Hub id ("user/name" or "user/name@revision").
        cache_dir: where results are kept; `UNPOISON_CACHE` or ~/.cache/unpoison when None.
        transform: applied to the raw image in place of the dataset's own transforms; None for none.
        target_transform: applied to the label in place of the dataset's own; None for none.
        device: to compute on, such as "cuda"; a GPU where there is one when None.
        seed: of everything random.
        progress: True shows progress bars on stderr, False does not, None does on a terminal.

    Raises:
        ConfigError: an argument is unknown.
        DatasetError: the dataset is empty or of a kind that cannot be cleaned.
    """

    def __init__(
        self,
        dataset: Any,
        method: str = "pdautor",
        *,
        config: Any = None,
        on_poison: OnPoison | None = None,
        on_unreadable: OnUnreadable = "raise",
        restorer: "Restorer | str | Path | None" = None,
        cache_dir: str | Path | None = None,
        transform: Any = KEEP,
        target_transform: Any = KEEP,
        device: str | torch.device | None = None,
        seed: int = 0,
        progress: bool | None = None,
    ) -> None:
        self.dataset, self.transform, self.target_transform = dataset, transform, target_transform
        self._sanitizer = Sanitizer(
            method,
            config=config,
            on_poison=on_poison,
            on_unreadable=on_unreadable,
            restorer=restorer,
            cache_dir=cache_dir,
            device=device,
            seed=seed,
            progress=progress,
        )
        self._view = RawView(dataset)
        self._cleaned: Cleaned | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    @classmethod
    def from_shards(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        transform: Any = KEEP,
        target_transform: Any = KEEP,
    ) -> "SanitizedDataset":
        """Reopens a cleaned set without the original: what `Sanitizer.export` or `unpoison clean` wrote.

        Items are (PIL image, label), each through its transform. Restored images and those that had no file of their
        own come with 8 bits per channel. The files may come from anyone: nothing in them is run or extracted.

        Args:
            source: the folder, or a dataset on the Hub: "user/name" or "user/name@revision".
            revision: branch, tag or commit on the Hub.
            transform: applied to the image.
            target_transform: applied to the label.

        Raises:
            CacheError: the folder holds something else, or a damaged or incomplete set.
            HubError: the dataset cannot be found or reached.
        """
        return _Reopened(ShardSet.open(source, revision), transform, target_transform)

    def prepare(self) -> "SanitizedDataset":
        """Cleans the dataset now, or opens the cached result. Safe to call from several processes at once.

        Raises:
            UnreadableError: an image cannot be read, and is not to be skipped.
            DatasetError: the dataset cannot be cleaned as it is.
            CacheError: the cache folder cannot be written or trusted.
        """
        self._open()
        return self

    @property
    def report(self) -> Report:
        """What was found and done, over the samples of the wrapped dataset."""
        return self._open().report

    @property
    def shards(self) -> list[Path]:
        """The WebDataset tars with the clean samples."""
        return list(self._open().shards)

    @property
    def source_index(self) -> npt.NDArray[np.int64]:
        """int64 [M]; position in the wrapped dataset of each sample served."""
        return self._open().source_index.copy()

    @property
    def targets(self) -> list[int | str]:
        """The class of each sample served, before `target_transform`."""
        cleaned = self._open()
        return [cleaned.label(source) for source in cleaned.source_index.tolist()]

    @property
    def classes(self) -> list[str]:
        """Names of the classes by number.

        Raises:
            AttributeError: the wrapped dataset does not name its classes.
        """
        names = self._view.names()
        if names is None and self._open().text_labels:
            names = self._open().names
        if names is None:
            raise AttributeError(f"{type(self.dataset).__name__} does not name its classes")
        return names

    def __len__(self) -> int:
        return len(self._open().source_index)

    def unpoison_raw(self) -> Any:
        if self.transform is not KEEP or self.target_transform is not KEEP:
            raise DatasetError("a SanitizedDataset with transform= cannot be wrapped: set the transform on the wrapper")
        return super().unpoison_raw()

    def _open(self) -> Cleaned:
        if self._cleaned is None:
            with self._lock:
                if self._cleaned is None:
                    self._cleaned = self._sanitizer.clean(self._view)
        return self._cleaned

    def _sample(self, position: int) -> tuple[Record, Any, Any]:
        cleaned = self._open()
        source = int(cleaned.source_index[position])
        record = self._view.read(source)
        if record.digest() != cleaned.digest(source):
            raise DatasetError(f"item {source} is not the one that was cleaned, the data has changed: clean it again")
        if isinstance(record.stored_image, Encoded):
            record.stored_image.pixels = cleaned.decoded(source)
        pixels, label = cleaned.restored_pixels(position), cleaned.label(source)
        image = KEEP if pixels is None else from_eight_bit(pixels, record.image, cleaned.levels)
        return record, image, KEEP if label == class_of(record.label) else label_like(label, record.label)


class _Reopened(SanitizedDataset):
    """Cleaned shards that take the place of the wrapped dataset."""

    def __init__(self, shards: ShardSet, transform: Any, target_transform: Any) -> None:
        self.dataset = self._shards = shards
        self.transform, self.target_transform = transform, target_transform
        self._lock = threading.Lock()

    def prepare(self) -> SanitizedDataset:
        return self

    @property
    def report(self) -> Report:
        """Of the run that made the shards.

        Raises:
            CacheError: the report does not lie with the shards.
        """
        return self._shards.report

    @property
    def shards(self) -> list[Path]:
        return list(self._shards.shards)

    @property
    def source_index(self) -> npt.NDArray[np.int64]:
        return self._shards.source_index.copy()

    @property
    def targets(self) -> list[int | str]:
        return [self._shards.label(position) for position in range(len(self._shards))]

    @property
    def classes(self) -> list[str]:
        names = self._shards.names()
        if names is None:
            raise AttributeError("the dataset that was cleaned did not name its classes")
        return names

    def __len__(self) -> int:
        return len(self._shards)

    def _sample(self, position: int) -> tuple[Record, Any, Any]:
        return self._shards.read(position), KEEP, KEEP
