"""Where results are kept, under which key, and how exactly one process builds each.

    <cache>/index/<key>.npz  what was read of a dataset's files: see `Index`
    <cache>/stores/<key>/    the working copy of a dataset, shared by all methods
    <cache>/stages/<stage>/<key>/    what was worked out, shared by all runs on the same pixels: see
                             `unpoison.stages.local`
    <cache>/restorers/<key>/ those that users gave
    <cache>/runs/<key>/      outcome/  the decision on this dataset and the restored pixels, published in one step
                             shards/   tars, and the index of what is in them; records/ says which are finished
                             manifest.json, SHA256SUMS  written last: a run without them is not served
    <cache>/locks/<key>.lock

In each of these folders `SHA256SUMS` says what its files hold, see `unpoison.data.checksums`: they are compared with it
when they are opened, and large ones image by image when those are read. What is damaged is made again.

The lock saves work; correctness rests on unique temporary names and renames, since locks do nothing on some
network file systems. Whatever is published is either immutable or the same bytes whoever writes it.
"""

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from ..errors import CacheError, ConfigError, DamagedError
from ..printable import printable
from ..report import Report
from .checksums import SUMS, Checked, write_sums
from .eight_bit import Levels, decode_png
from .files import publish_bytes, writing
from .items import Keys
from .outputs import lies_in
from .pixels import Pixels
from .pruning import RESTORERS, STAGES, hold
from .reading import parsing
from .shards import Shard, ShardReader, paths_of
from .store import ImageStore

FORMAT = 3
"""Of a run; 2 added the checksums, 3 the restored images at their own size."""
PARTS = ("index", "stores", RESTORERS, STAGES, "runs", "locks")
"""The folders in a cache folder."""
WORKING_COPY = "the working copy of the images"
_MANIFEST, _POLL_SECONDS = "manifest.json", 0.2
_NOT_SERVED = ("repaired/", "restorer/", "shard-")
"""Begin the names of what is too large to be read before a run is served, or is not needed for that."""
_logger = logging.getLogger(__name__)


def default_root() -> Path:
    """UNPOISON_CACHE, else `unpoison` in XDG_CACHE_HOME, else ~/.cache/unpoison."""
    if chosen := os.environ.get("UNPOISON_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unpoison"


def check_outside(root: Path, folders: Iterable[Path]) -> None:
    """Makes sure that what is kept does not become part of what is read.

    Raises:
        ConfigError: the cache folder lies in one of the folders.
    """
    for folder in folders:
        if lies_in(root, folder):
            raise ConfigError(
                f"the cache folder {root} lies in {folder}, which is read: set cache_dir= or UNPOISON_CACHE to a "
                "folder outside of it"
            )


def cache_key(**parts: Any) -> str:
    """sha256, shortened to 32 hexadecimal digits, of named values; dataclasses count by their fields."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {"class": type(value).__name__, **dataclasses.asdict(value)}
        return str(value)

    canonical = json.dumps(parts, sort_keys=True, default=plain)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def build_once(root: Path, key: str, complete: Callable[[], bool], build: Callable[[], None]) -> None:
    """Calls `build` unless the result is complete; of several processes and threads, one builds and the others wait.

    Raises:
        CacheError: the cache folder cannot be written.
    """
    if complete():
        return
    with writing(root):
        (root / "locks").mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / "locks" / f"{key}.lock", thread_local=False)
    while not complete():
        with writing(root):
            try:
                lock.acquire(timeout=_POLL_SECONDS)
            except Timeout:  # another process builds: look whether it has finished
                continue
        try:
            if not complete():
                build()
        finally:
            lock.release()


class Manifest(msgspec.Struct, kw_only=True):
    """What `manifest.json` says of a run."""

    format: int = FORMAT
    shards: list[Shard]
    levels: tuple[float, float]
    """See `Levels`."""
    names: list[str] | None
    """Of the classes by number, where they are known."""
    text_labels: bool
    """Whether labels are these names."""
    keys: tuple[str | int, str | int]
    """Where image and label lie in the items of the dataset."""
    unreadable: int
    """How many items were left out because they cannot be read."""
    store: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")] | None
    """Name of the folder of the working copy, where that holds what the images decode to."""
    timings: dict[str, float]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Declares a run complete, whose outcome and shards are on disk."""
    publish_bytes(folder / _MANIFEST, json.dumps(msgspec.to_builtins(manifest), indent=1).encode())
    write_sums(folder, (_MANIFEST, f"outcome/{SUMS}", f"shards/{SUMS}"))


def start_again(folder: Path) -> None:
    """Declares a run incomplete; what is damaged of it is noted in the log."""
    if (folder / SUMS).exists() and (damage := _damage(folder)) is not None:
        _logger.warning("made again: %s", printable(str(damage)))
        (folder / SUMS).unlink()


def is_complete(folder: Path) -> bool:
    """Whether a run can be served: it is finished, and what is read before its samples is not damaged.

    Raises:
        CacheError: it was written by a newer version.
    """
    with writing(folder):
        finished = (folder / SUMS).exists()
    return finished and _damage(folder) is None


def _damage(folder: Path) -> DamagedError | None:
    try:
        Checked(folder).check_all()
        for part in ("outcome", "shards"):
            Checked(folder / part).check_all(leaving=_NOT_SERVED)
        Cleaned(folder)
    except DamagedError as error:
        return error
    return None


@contextmanager
def telling_what_is_kept(
    root: Path, run: Path | None = None, parts: Mapping[str, Path] | None = None
) -> Iterator[None]:
    """Adds a note to a KeyboardInterrupt: what is finished of a run, and will not be repeated.

    Args:
        root: the cache folder.
        run: the run's folder in it; None while its key is not known.
        parts: further folders by what they hold, each there when it is finished; may grow meanwhile.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        kept = [what for what, folder in (parts or {}).items() if folder.is_dir()]
        if run is not None and (run / SUMS).exists():
            kept = ["the whole result"]
        elif run is not None:
            if (run / "outcome").is_dir():
                kept = [*(what for what in kept if what == WORKING_COPY), "what was detected and restored"]
            if shards := len(list((run / "records").glob("*.sha256"))):
                kept.append(f"{shards} finished shard{'s' * (shards > 1)}")
        interrupt.add_note(
            f"the cache folder {root} keeps {', '.join(kept)}: run the same again to go on from there"
            if kept
            else f"the cache folder {root} keeps nothing of this run yet: the same again starts anew"
        )
        raise


class Cleaned:
    """A complete run, opened for reading. Picklable: other processes open it again.

    Args:
        folder: the run's folder.

    Raises:
        CacheError: the run is not complete, damaged or written by a newer version.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / SUMS).exists():
            raise CacheError(f"{folder} holds no complete result, call prepare() again")
        hold(self, folder)
        self.folder = folder
        self.shards = paths_of(folder, self.manifest.shards)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "shards": self.shards}

    @cached_property
    def manifest(self) -> Manifest:
        return Checked(self.folder).json(_MANIFEST, Manifest, newest=FORMAT)

    @cached_property
    def report(self) -> Report:
        report = Report.load(self.folder / "outcome")
        return dataclasses.replace(report, timings={**report.timings, **self.manifest.timings})

    @cached_property
    def source_index(self) -> npt.NDArray[np.int64]:
        """int64 [M]; position in the wrapped dataset of each sample that is served."""
        return np.flatnonzero(self.report.action != "drop").astype(np.int64)

    @property
    def names(self) -> list[str] | None:
        """Names of the classes by number, where they are known."""
        return self.manifest.names

    @property
    def keys(self) -> Keys:
        """Where image and label lie in the items of the dataset."""
        return Keys(*self.manifest.keys)

    @property
    def text_labels(self) -> bool:
        return self.manifest.text_labels

    @property
    def levels(self) -> Levels:
        return Levels(*self.manifest.levels)

    def digest(self, source: int) -> bytes:
        """sha256 of the wrapped dataset's item when it was cleaned."""
        return bytes(self._digests[source])

    def image_file(self, position: int) -> bytes:
        """The image file of the sample served at a position."""
        return self._reader.image(position)

    def restored_pixels(self, position: int) -> Pixels | None:
        """uint8 [H,W,C] colour channels of the sample served at a position; None where they are the original's."""
        if not self._restored[self.source_index[position]]:
            return None
        return decode_png(self.image_file(position))

    def decoded(self, source: int) -> Pixels | None:
        """uint8 [H,W,3]; what the file of the wrapped dataset's item decodes to, where the working copy holds it."""
        if self._store is None:
            return None
        try:
            return self._store.checked(self._store.rows(source))
        except DamagedError as error:
            # The file says the same, and is compared with what was cleaned.
            _logger.warning("images are decoded from their files: %s", printable(str(error)))
            self._store = None
            return None

    def jpeg_size(self, source: int) -> tuple[int, int] | None:
        """Height and width of the wrapped dataset's item, where its file is a plain JPEG."""
        height, width = self._jpeg_sizes[source].tolist()
        return (height, width) if height else None

    def label(self, source: int) -> int | str:
        """The class of a sample after cleaning."""
        label = int(self.report.label[source])
        return self.names[label] if self.text_labels and self.names is not None else label

    @cached_property
    def _reader(self) -> ShardReader:
        return ShardReader(self.folder)

    @cached_property
    def _store(self) -> ImageStore | None:
        name = self.manifest.store
        folder = self.folder.parents[1] / "stores" / str(name)
        # Other runs may have removed the working copy: then files are decoded.
        if name is None or not folder.is_dir():
            return None
        try:
            return ImageStore.open(folder)
        except DamagedError as error:
            _logger.warning("images are decoded from their files: %s", printable(str(error)))
            return None

    @cached_property
    def _digests(self) -> npt.NDArray[np.uint8]:
        return self._outcome.array("digests.npy", "u", 2)

    @cached_property
    def _jpeg_sizes(self) -> npt.NDArray[np.int32]:
        return self._outcome.array("jpeg_sizes.npy", "i", 2)

    @cached_property
    def _restored(self) -> npt.NDArray[np.bool_]:
        restored, index = np.zeros(len(self.report), bool), self._outcome.array("restored_index.npy", "i", 1)
        with parsing(self.folder / "outcome" / "restored_index.npy"):
            restored[index] = True
        return restored

    @property
    def _outcome(self) -> Checked:
        return Checked(self.folder / "outcome")
