"""What holds whatever a file holds: the package raises errors of its own alone, ends, needs little memory, starts
nothing and writes nowhere else."""

import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from unpoison.errors import UnpoisonError

SECONDS = 30
"""That reading a file of a few kilobytes may take, on a busy machine; it takes milliseconds."""
MEMORY = 200 << 20
"""Bytes that it may take, besides those of the file."""
_ROOM = 4 << 30
"""Of addresses: what asks for more fails instead of taking the machine with it."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {
    "os.mkdir": (0,), "os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,), "os.remove": (0,), "os.rmdir": (0,),
    "shutil.rmtree": (0,), "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
}  # fmt: skip
"""Which arguments of an event name what is changed; not of what lies in an open folder, as of one that is removed."""
_STARTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "pickle.find_class",
)
_allowed: list[Path] | None = None
_seen: list[str] = []


class _TakesTooLong(BaseException):
    """Not an Exception, which might be caught on its way."""


def harmless(use: Callable[[], Any], folders: list[Path], size: int = 0) -> Any:
    """What `use` gives, or the error of the package that it raises.

    Args:
        use: reads a file.
        folders: all that it may write to.
        size: of the file, in bytes.

    Raises:
        AssertionError: it did some harm. Any other error than the package's own is raised as it is.
    """
    try:
        with _memory(size), _in_time(), _watched(folders), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = use()
    except UnpoisonError as error:
        result = error
        _check_error(error)
    return result


def _check_error(error: BaseException) -> None:
    assert str(error).strip(), "an error says nothing"
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    assert not any(isinstance(cause, MemoryError) for cause in causes), f"it asks for too much memory: {error}"


@contextmanager
def room() -> Iterator[None]:
    """Leaves the process little more addresses than it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = 0
    with suppress(OSError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def _memory(size: int) -> Iterator[None]:
    before = _peak(anew=True)
    yield
    grown = _peak() - before
    assert grown <= MEMORY + size, f"it takes {grown >> 20} MB of memory for a file of {size} bytes"


def _peak(anew: bool = False) -> int:
    """Most memory that this process had at a time, in bytes: since it was measured anew where the system can tell, else
    since it began."""
    if anew:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def _in_time() -> Iterator[None]:
    def end(*_: Any) -> None:
        raise _TakesTooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    try:
        yield
    except _TakesTooLong as error:
        raise AssertionError(f"it takes more than {SECONDS} s") from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _watched(folders: list[Path]) -> Iterator[None]:
    global _allowed
    _seen.clear()
    _allowed = [Path(os.path.realpath(folder)) for folder in folders]
    compiled, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        _allowed, sys.dont_write_bytecode = None, compiled
        assert not _seen, f"it does {_seen[0]}"


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _allowed is None:
        return
    if event in _STARTS:
        _refuse(f"{event} {arguments[:2]}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
        _check(event, arguments[0])
    if event in _PATHS and (event == "os.truncate" or arguments[-1] in (-1, None)):
        for place in _PATHS[event]:
            _check(event, arguments[place])


def _check(event: str, path: Any) -> None:
    if not isinstance(path, str | bytes | os.PathLike):  # an open file
        return
    place = Path(os.path.realpath(os.fsdecode(path)))
    assert _allowed is not None
    if place != Path(os.devnull) and not any(place.is_relative_to(folder) for folder in _allowed):
        _refuse(f"{event} {place}")


def _refuse(what: str) -> None:
    _seen.append(what)
    raise PermissionError(what)


# It cannot be taken away again, and does nothing but while something is watched.
sys.addaudithook(_watch)
