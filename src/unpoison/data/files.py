"""Files that are read, plain ones alone; and files and folders that appear whole or not at all: written under a unique
name, brought to the disk, then renamed."""

import ctypes
import errno
import glob
import io
import os
import shutil
import socket
import stat
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ..errors import CacheError

SIGNATURE, MAX_SIGNATURE = "SHA256SUMS.minisig", 1 << 14
"""Beside a list of checksums: who signed it; in bytes at most."""
WRITE_ERRORS = (OSError, SafetensorError)
"""What a file system that fails is called; safetensors has a name of its own for it."""
MANY = 1000
"""Files that are waited for one by one. Measured: 3 ms each, and .1 s for 1,500 at once, with all that others wrote."""
_HERE, _EXCHANGE = -100, 2
"""Linux's AT_FDCWD and RENAME_EXCHANGE."""


def only_regular(path: str, flags: int) -> int:
    """Opener of plain files, for `io.FileIO`: opening a pipe waits for who writes into it, and a device may never end.

    Raises:
        OSError: it is something else, or cannot be opened.
    """
    return _opened(path, flags)[0]


def open_regular(path: Path) -> io.BufferedReader:
    """Opens a plain file to read it.

    Raises:
        OSError: it is something else, or cannot be opened.
    """
    return io.BufferedReader(io.FileIO(path, opener=only_regular))


def read_regular(path: str | Path) -> bytes:
    """All that a plain file holds. For small files `Path.read_bytes` takes twice as long.

    Raises:
        OSError: it is something else, or cannot be read.
    """
    descriptor, left = _opened(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        parts = []
        while left > 0 and (part := os.read(descriptor, left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def check_regular(path: Path) -> None:
    """For what libraries open by its path.

    Raises:
        OSError: it is no plain file, or cannot be opened.
    """
    os.close(_opened(path, os.O_RDONLY)[0])


def _opened(path: str | Path, flags: int) -> tuple[int, int]:
    """The descriptor of a plain file, and its size in bytes."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is no file, but a folder", str(path))
    raise OSError(errno.EINVAL, "it is no file, but a pipe or a device", str(path))


@contextmanager
def temporary_name(final: Path) -> Iterator[Path]:
    """A unique unused name beside `final`; whatever is left under it in the end is removed, as is before what killed
    processes left under such names."""
    remove_leftovers(final.parent, final.name)
    temporary = final.with_name(f"{final.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes) -> None:
    """Writes a file in one step; it is on disk afterwards."""
    with temporary_name(path) as temporary:
        temporary.write_bytes(data)
        flush(temporary)
        temporary.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Waits until a file, or the list of names in a folder, is on disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def flush_all(folder: Path) -> None:
    """Waits until a folder, with all files and folders in it, is on disk."""
    paths = [*folder.rglob("*"), folder]
    if len(paths) > MANY and sys.platform == "linux":  # elsewhere it may not wait
        os.sync()
        return
    for path in paths:
        flush(path)


def exchange(path: Path, other: Path) -> bool:
    """Swaps two names in one step; whether that could be done, as on Linux but for some network disks."""
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    return swap is not None and swap(_HERE, os.fsencode(path), _HERE, os.fsencode(other), _EXCHANGE) == 0


def copy_files(source: Path, folder: Path) -> None:
    """Copies the files of a folder without folders in it into a new one."""
    folder.mkdir()
    for path in source.iterdir():
        shutil.copyfile(path, folder / path.name)


@contextmanager
def publishing_folder(final: Path) -> Iterator[Path]:
    """An empty folder that becomes `final` at the end of the block, with all that is in it on disk; if another process
    was faster, its folder stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with temporary_name(final) as temporary:
        temporary.mkdir()
        yield temporary
        flush_all(temporary)
        try:
            temporary.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    flush(final.parent)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Removes what processes of this machine that have ended left half-written in a folder, of one name or all."""
    for path in leftovers(folder, name):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def leftovers(folder: Path, name: str | None = None) -> list[Path]:
    """What processes of this machine that have ended left in a folder under temporary names, for one name or all."""
    host, found = socket.gethostname(), []
    for path in sorted(folder.glob("*.tmp" if name is None else f"{glob.escape(name)}.*.tmp")):
        parts = path.name.removesuffix(".tmp").rsplit(".", 2)
        if len(parts) == 3 and parts[0].endswith(f".{host}") and parts[1].isdigit() and not _alive(int(parts[1])):
            found.append(path)
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns the file system's errors into a `CacheError` that names the fix. Errors of files elsewhere that are missing
    or may not be opened stay what they are."""
    try:
        yield
    except WRITE_ERRORS as error:
        name = error.filename if isinstance(error, FileNotFoundError | PermissionError) else None
        if isinstance(name, str) and not Path(os.path.realpath(name)).is_relative_to(os.path.realpath(folder)):
            raise
        raise CacheError(
            f"the cache folder {folder} cannot be written ({reason_of(error)}): free some space or set cache_dir= or "
            "UNPOISON_CACHE to a folder on another disk"
        ) from error


def reason_of(error: Exception) -> str:
    """Of an error of the file system, in words."""
    return getattr(error, "strerror", None) or str(error)
