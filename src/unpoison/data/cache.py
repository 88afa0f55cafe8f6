"""Where results are kept, under which key, and how exactly one process builds each.

    <cache>/index/<key>.npz  what was read of a dataset's files: see `Index`
    <cache>/stores/<key>/    the working copy of a dataset, shared by all methods
    <cache>/found/, <cache>/outcomes/    what methods worked out, shared by all runs on the same pixels: see
                             `unpoison.methods.kept`
    <cache>/runs/<key>/      outcome/  the decision on this dataset and the restored pixels, published in one step
                             shards/   tars; records/ and index.npy say what is in them
                             manifest.json  written last: a run without it is not served
    <cache>/locks/<key>.lock

The lock saves work; correctness rests on unique temporary names and renames, since locks do nothing on some
network file systems. Whatever is published is either immutable or the same bytes whoever writes it.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from ..errors import CacheError, ConfigError
from ..report import Report
from .files import check_regular, publish_bytes, read_regular, writing
from .items import Keys
from .outputs import lies_in
from .pixels import Levels, Pixels, decode_png
from .shards import ShardReader, iter_paths
from .store import ImageStore

FORMAT = 1
PARTS = ("index", "stores", "found", "outcomes", "runs", "locks")
"""The folders in a cache folder."""
DETECTED = "what was detected"
_MANIFEST, _POLL_SECONDS = "manifest.json", 0.2


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


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Declares a run complete."""
    publish_bytes(folder / _MANIFEST, json.dumps({"format": FORMAT, **facts}, indent=1).encode())


def is_complete(folder: Path) -> bool:
    """Whether a run can be served.

    Raises:
        CacheError: it was written by a newer version, or its manifest is damaged.
    """
    try:
        content = read_regular(folder / _MANIFEST)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CacheError(f"the cache {folder} cannot be read ({error.strerror}): set cache_dir= to another") from error
    try:
        written = json.loads(content)["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise CacheError(f"the manifest in {folder} is damaged: delete the folder and clean again") from error
    if written > FORMAT:
        raise CacheError(f"{folder} was written by a newer unpoison: upgrade the package or set another cache_dir=")
    return True


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
        if run is not None and is_complete(run):
            kept = ["the whole result"]
        elif run is not None:
            if (run / "outcome").is_dir():
                kept = [what for what in kept if what != DETECTED]
                kept.append("what was detected and restored")
            if shards := len(list((run / "records").glob("*.json"))):
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
        if not is_complete(folder):
            raise CacheError(f"{folder} holds no complete result, call prepare() again")
        self.folder = folder
        self.shards = list(iter_paths(folder, self.manifest["shards"]))

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "shards": self.shards}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(read_regular(self.folder / _MANIFEST))
        return facts

    @cached_property
    def report(self) -> Report:
        report = Report.load(self.folder / "outcome")
        return dataclasses.replace(report, timings={**report.timings, **self.manifest["timings"]})

    @cached_property
    def source_index(self) -> npt.NDArray[np.int64]:
        """int64 [M]; position in the wrapped dataset of each sample that is served."""
        return np.flatnonzero(self.report.action != "drop").astype(np.int64)

    @property
    def names(self) -> list[str] | None:
        """Names of the classes by number, where they are known."""
        names: list[str] | None = self.manifest["names"]
        return names

    @property
    def keys(self) -> Keys:
        """Where image and label lie in the items of the dataset."""
        return Keys(*self.manifest["keys"])

    @property
    def text_labels(self) -> bool:
        return bool(self.manifest["text_labels"])

    @property
    def levels(self) -> Levels:
        return Levels(*self.manifest["levels"])

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
        return None if self._store is None else np.asarray(self._store.images[self._store.rows(source)])

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
        name = self.manifest.get("store")
        folder = self.folder.parents[1] / "stores" / str(name)
        # Other runs may have removed the working copy: then files are decoded.
        return ImageStore.open(folder) if name is not None and folder.is_dir() else None

    @cached_property
    def _digests(self) -> npt.NDArray[np.uint8]:
        return self._load("digests.npy")

    @cached_property
    def _jpeg_sizes(self) -> npt.NDArray[np.int32]:
        return self._load("jpeg_sizes.npy")

    @cached_property
    def _restored(self) -> npt.NDArray[np.bool_]:
        restored = np.zeros(len(self.report), bool)
        restored[self._load("restored_index.npy")] = True
        return restored

    def _load(self, name: str) -> npt.NDArray[Any]:
        try:
            check_regular(self.folder / "outcome" / name)
            array: npt.NDArray[Any] = np.load(self.folder / "outcome" / name, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise CacheError(f"{name} in {self.folder} is damaged, delete the folder: {error}") from error
        return array
