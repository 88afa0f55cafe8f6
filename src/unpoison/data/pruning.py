"""What lies in a cache folder, and making room in it: everything there can be made again."""

import logging
import os
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from pydantic import ByteSize, TypeAdapter, ValidationError

from ..errors import ConfigError
from ..printable import printable
from .checksums import SUMS
from .files import reason_of, temporary_name

if sys.platform != "win32":  # where files that are open cannot be removed
    import fcntl

LIMIT = "UNPOISON_CACHE_LIMIT"
_logger = logging.getLogger(__name__)
STAGES, RESTORERS = "stages", "restorers"
_KINDS = {
    "index": ("index", ""),
    "stores": ("working copy", "store-"),
    RESTORERS: ("restorer", "restorer-"),
    "runs": ("run", ""),
}
"""What the entries of each folder are, and what the names of their locks begin with. In that of the stages each stage
has a folder, and both are its name."""


class Entry(NamedTuple):
    """One that can be removed alone."""

    path: Path
    kind: str
    size: int
    """Bytes."""
    used: float
    """Seconds since the epoch: when it was last opened or written."""


def entries(root: Path) -> list[Entry]:
    """Everything in a cache folder, that last which was used last."""
    found = []
    for path in (*(path for folder in _KINDS for path in (root / folder).glob("*")), *(root / STAGES).glob("*/*")):
        if path.suffix == ".tmp":
            continue
        with suppress(OSError):  # others may be at work here
            size = sum(part.stat().st_size for part in (path, *path.rglob("*")))
            found.append(Entry(path, _kind(path)[0], size, path.stat().st_mtime))
    return sorted(found, key=lambda entry: entry.used)


def prune(root: Path, *, limit: int | None = None, unused_since: float | None = None) -> list[Entry]:
    """Removes what was not used for longest, and returns it.

    What a process serves or makes at the moment stays, and so does what may not be removed.

    Args:
        limit: bytes that may stay, or None.
        unused_since: time, in seconds since the epoch; what was used later may stay. None for any.
    """
    left, removed = entries(root), []
    total = sum(entry.size for entry in left)
    for entry in left:
        if (limit is None or total <= limit) and (unused_since is None or entry.used >= unused_since):
            continue
        if _remove(root, entry):
            removed.append(entry)
            total -= entry.size
    return removed


def size_limit() -> int | None:
    """`UNPOISON_CACHE_LIMIT` in bytes, None where it is not set.

    Raises:
        ConfigError: it is no size.
    """
    chosen = os.environ.get(LIMIT)
    return None if chosen is None else parse_size(chosen, LIMIT)


def parse_size(text: str, name: str) -> int:
    """Bytes, of "20GB" and the like.

    Raises:
        ConfigError: it is no size.
    """
    try:
        size = int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        size = -1
    if size < 0:
        raise ConfigError(f"{name}={text!r} is no size: give it as 20GB or 500MiB")
    return size


def mark_used(*paths: Path) -> None:
    """Notes that entries were used now; in a folder that may not be written, they seem to be as old as they are."""
    for path in paths:
        with suppress(OSError):
            os.utime(path)


def hold(who: object, folder: Path) -> None:
    """Keeps an entry from being removed for as long as an object lives, here or in a child of this process."""
    if sys.platform == "win32":
        return
    with suppress(OSError):  # some network disks have no locks
        file = os.open(folder / SUMS, os.O_RDONLY)
        weakref.finalize(who, os.close, file)
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _kind(path: Path) -> tuple[str, str]:
    """What an entry is, and what the name of its lock begins with."""
    name = path.parent.name
    return (name, f"{name}-") if path.parent.parent.name == STAGES else _KINDS[name]


def _remove(root: Path, entry: Entry) -> bool:
    try:
        with _unless_in_use(root, entry) as free:
            if free:
                with temporary_name(entry.path) as gone:
                    entry.path.rename(gone)  # nobody sees a part of it
            return free
    except OSError as error:
        _logger.info("%s stays: %s", printable(str(entry.path)), reason_of(error))
        return False


@contextmanager
def _unless_in_use(root: Path, entry: Entry) -> Iterator[bool]:
    """Whether nobody makes or serves an entry; then nobody begins to make it within the block."""
    (root / "locks").mkdir(exist_ok=True)
    prefix = _kind(entry.path)[1]
    lock = FileLock(root / "locks" / f"{prefix}{entry.path.stem}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield not _is_served(entry.path)
    finally:
        lock.release()


def _is_served(path: Path) -> bool:
    if sys.platform == "win32" or not (path / SUMS).exists():
        return False
    with (path / SUMS).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a disk without locks: then what was used within a day counts as in use
            return time.time() - path.stat().st_mtime < 86400
    return False
