"""A disk that fails: each call that changes something below a folder is a place where it can, and is written down.

Seen is what Python calls: `open`, and of `os` `open`, `mkdir`, `rename`, `replace`, `unlink`, `rmdir` and `fsync`,
which waits for no disk here. NumPy, zipfile, tarfile, webdataset, shutil, pathlib and filelock use these. The writes of
safetensors, which are Rust's, are made here, with the same bytes and errors. The writes of Arrow, which are C++'s, are
not seen.
"""

import builtins
import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import safetensors.torch

from unpoison.data import files

_REAL = {name: getattr(os, name) for name in ("open", "mkdir", "rename", "unlink", "rmdir")}
_OPEN, _EXCHANGE = builtins.open, files.exchange
_SAVE_TENSORS = ("unpoison.restoration.files", "unpoison.training.weights", "unpoison.explanation.found")
_NEEDS_SPACE = ("create", "write", "mkdir")


class Call(NamedTuple):
    """One that was made, with paths below the folder."""

    kind: str
    """create, write, fsync, mkdir, rename, exchange, unlink or rmdir."""
    path: str
    target: str = ""
    offset: int = 0
    data: bytes = b""


class Fault(NamedTuple):
    """What happens at a place. Of a write the first half is made all the same."""

    place: int
    error: int = 0
    """`errno`; 0 for none: then half of the write is all that this call does, as the system may."""
    lasting: bool = False
    """Whether every later call that needs space fails as well."""


class Disk:
    """What is below a folder.

    Args:
        exchanges: whether two names can be exchanged in one step.
        delay: seconds that each call takes longer.

    Attributes:
        calls: those that were made.
        places: the kind of each place that was met, and its path below the folder.
    """

    def __init__(self, root: Path, fault: Fault | None = None, *, exchanges: bool = True, delay: float = 0.0) -> None:
        self._root, self._fault, self._exchanges, self._delay = str(root), fault, exchanges, delay
        self.calls: list[Call] = []
        self.places: list[tuple[str, str]] = []
        self._opened: dict[int, str] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name, function in {
                "open": self._open_descriptor, "fsync": self._fsync, "rename": self._rename, "replace": self._rename,
                "mkdir": self._changing("mkdir"), "rmdir": self._changing("rmdir"),
                "unlink": self._changing("unlink"), "remove": self._changing("unlink"),
            }.items():  # fmt: skip
                stack.enter_context(patch.object(os, name, function))
            for module in (builtins, io):
                stack.enter_context(patch.object(module, "open", self._open))
            for module in _SAVE_TENSORS:
                stack.enter_context(patch(f"{module}.save_file", self._save_tensors))
            stack.enter_context(patch("unpoison.data.outputs.exchange", self._exchange))
            # Else it names files by the descriptors of their folders.
            stack.enter_context(patch.object(shutil, "_use_fd_functions", False))
            yield

    def meet(self, kind: str, path: str) -> bool:
        """Comes to the next place; whether a write is cut short there.

        Raises:
            OSError: the call fails.
        """
        place, fault = len(self.places), self._fault
        self.places.append((kind, path))
        if self._delay:
            time.sleep(self._delay)
        goes_on = fault is not None and fault.lasting and place > fault.place and kind in _NEEDS_SPACE
        if fault is None or not (place == fault.place or goes_on):
            return False
        if fault.error:
            raise OSError(fault.error, os.strerror(fault.error), path)
        return True

    def note(self, kind: str, path: str, **more) -> None:
        self.calls.append(Call(kind, path, **more))

    def inside(self, path) -> str | None:
        """The path below the folder, "." for itself; None for one elsewhere."""
        if isinstance(path, int):
            return None
        whole = os.path.abspath(path)  # noqa: PTH100  # a tenth of the time, and there are no links
        if whole == self._root:
            return "."
        return whole.removeprefix(f"{self._root}/") if whole.startswith(f"{self._root}/") else None

    def _changing(self, kind):
        real = _REAL[kind]

        def call(path, *args, **options):
            inside = self.inside(path)
            if inside is not None:
                self.meet(kind, inside)
            real(path, *args, **options)
            if inside is not None:
                self.note(kind, inside)

        return call

    def _rename(self, path, target, **options):
        inside = self.inside(path)
        if inside is not None:
            self.meet("rename", inside)
        _REAL["rename"](path, target, **options)
        if inside is not None:
            self.note("rename", inside, target=self.inside(target))

    def _exchange(self, path, other):
        try:
            self.meet("exchange", self.inside(path))
        except OSError:
            return False
        done = self._exchanges and _EXCHANGE(path, other)
        if done:
            self.note("exchange", self.inside(path), target=self.inside(other))
        return done

    def _open_descriptor(self, path, flags, mode=0o777, *, dir_fd=None):
        inside = self.inside(path) if dir_fd is None else None
        new = inside is not None and flags & os.O_CREAT and not os.path.lexists(path)
        if new:
            self.meet("create", inside)
        descriptor = _REAL["open"](path, flags, mode, dir_fd=dir_fd)
        if new:
            self.note("create", inside)
        self._opened[descriptor] = inside
        return descriptor

    def _fsync(self, descriptor):
        inside = self._opened[descriptor]
        if inside is not None:
            self.meet("fsync", inside)
            self.note("fsync", inside)

    def _open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        inside = self.inside(file)
        if inside is None or not set(mode) & set("wax+"):
            return _OPEN(file, mode, buffering, encoding, errors, newline, closefd, opener)
        assert set(mode) <= set("wx+bt"), f"nothing is written with {mode}"
        raw = _File(self, file, inside, mode.translate({ord("b"): None, ord("t"): None}))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    def _save_tensors(self, tensors, path, metadata=None):
        try:
            with self._open(path, "wb") as file:
                file.write(safetensors.torch.save(tensors, metadata))
        except OSError as error:
            raise safetensors.SafetensorError(f"Error while serializing: I/O error: {error}") from error


class _File(io.RawIOBase):
    """One that is written. It has no descriptor, so that nothing gets past it."""

    def __init__(self, disk, path, inside, mode) -> None:
        disk.meet("create", inside)
        self._disk, self._inside, self._real = disk, inside, io.FileIO(path, mode)
        disk.note("create", inside)

    def write(self, data):
        data, offset = bytes(data), self._real.tell()
        half = data[: len(data) // 2 or 1]
        try:
            if self._disk.meet("write", self._inside):
                data = half
        except OSError:
            self._make(offset, half)
            raise
        return self._make(offset, data)

    def _make(self, offset, data):
        done = self._real.write(data)
        self._disk.note("write", self._inside, offset=offset, data=data[:done])
        return done

    def readinto(self, buffer):
        return self._real.readinto(buffer)

    def seek(self, *where):
        return self._real.seek(*where)

    def tell(self):
        return self._real.tell()

    def readable(self):
        return self._real.readable()

    def writable(self):
        return True

    def seekable(self):
        return True

    def close(self):
        super().close()
        self._real.close()
