"""Files and folders that appear whole or not at all: written under a unique name, then renamed."""

import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CacheError


@contextmanager
def temporary_name(final: Path) -> Iterator[Path]:
    """A unique unused name beside `final`; whatever is left under it in the end is removed."""
    temporary = final.with_name(f"{final.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes) -> None:
    """Writes a file in one step."""
    with temporary_name(path) as temporary:
        temporary.write_bytes(data)
        temporary.replace(path)


@contextmanager
def publishing_folder(final: Path) -> Iterator[Path]:
    """An empty folder that becomes `final` at the end of the block; if another process was faster, its folder stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with temporary_name(final) as temporary:
        temporary.mkdir()
        yield temporary
        try:
            temporary.rename(final)
        except OSError:
            if not final.is_dir():
                raise


def remove_leftovers(folder: Path) -> None:
    """Removes what processes of this machine that have ended left half-written in a folder."""
    host = socket.gethostname()
    for path in folder.glob("*.tmp"):
        parts = path.name.removesuffix(".tmp").rsplit(".", 2)
        if len(parts) == 3 and parts[0].endswith(f".{host}") and parts[1].isdigit() and not _alive(int(parts[1])):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


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
    """Turns the file system's errors into a `CacheError` that names the fix."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CacheError(
            f"the cache folder {folder} cannot be written ({reason}): free some space or set cache_dir= or "
            "UNPOISON_CACHE to a folder on another disk"
        ) from error
