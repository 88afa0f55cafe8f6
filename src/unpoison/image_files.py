"""The files that a dataset's images come from, of all samples, in little memory.

Saved beside the report's arrays, without pickle. The file may come from strangers: types, sizes and names are checked
before anything is used.
"""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from .data.checksums import Checked
from .data.reading import parsing

FILE = "files.npz"
_MAX_NAME = 1 << 12
"""Bytes of a path, as file systems allow."""


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """A file or none for each of N samples."""

    packed: bytes = dataclasses.field(repr=False)
    """Paths below a common folder as the file system has them, in UTF-8 where they are text, with "/" between folders,
    separated by zero bytes; empty where a sample comes from no file. Processes that serve a dataset hold many of them:
    as strings they would take twice the memory, and seconds to make."""
    folder: str = ""
    """The absolute path of the deepest folder that holds them all; "" where it is not told."""

    @classmethod
    def of(cls, paths: Iterable[str]) -> Self | None:
        """From the absolute path of each sample's file, "" for none; None where no sample has one."""
        encoded = [_encode(path) for path in paths]
        known = [path for path in encoded if path]
        if not known:
            return None
        # What the first and the last in order have in common, all between them have.
        folder = os.path.commonpath([os.path.dirname(min(known)), os.path.dirname(max(known))])  # noqa: PTH120
        packed = (b"\0" + b"\0".join(encoded)).replace(b"\0" + folder.rstrip(b"/") + b"/", b"\0")[1:]
        return cls(packed, folder.decode(errors="surrogateescape"))

    def names(self) -> list[str]:
        """Below the folder; "" where a sample comes from no file."""
        return self.packed.decode(errors="surrogateescape").split("\0")

    def without_folder(self) -> Self | None:
        """To hand on: without the folder, whose path may tell who the user is; None where the names may, because they
        begin above the user's home."""
        home = Path.home()
        return None if Path(self.folder) in (Path(home.anchor), *home.parents) else type(self)(self.packed)

    def save(self, folder: Path) -> None:
        """Writes `files.npz`."""
        arrays = {"packed": self.packed, "folder": self.folder.encode(errors="surrogateescape")}
        arrays_of_bytes = {name: np.frombuffer(value, np.uint8) for name, value in arrays.items()}
        np.savez(folder / FILE, allow_pickle=False, **arrays_of_bytes)

    @classmethod
    def load(cls, files: Checked, samples: int) -> Self | None:
        """Reads what `save` wrote beside a report on so many samples; None where there is no such file.

        Raises:
            DamagedError: it is damaged, or not what `save` writes.
        """
        if not files.has(FILE):
            return None
        found = files.arrays(FILE, {"packed": ("u", 1), "folder": ("u", 1)}, limit=(samples + 2) * _MAX_NAME)
        with parsing(files.folder / FILE):
            return cls._of_bytes(found["packed"].tobytes(), found["folder"].tobytes(), samples)

    @classmethod
    def _of_bytes(cls, names: bytes, root: bytes, samples: int) -> Self:
        """From what `save` wrote; raises ValueError for anything else."""
        if root and not root.startswith(b"/"):
            raise ValueError("the folder of the images is no absolute path")
        text = names.decode(errors="surrogateescape")
        if names.count(b"\0") != samples - 1 or not names.strip(b"\0") or b"\0" in root:
            raise ValueError("the names are of other samples")
        # Nothing outside the folder: what shows the table opens what it names.
        above = b".." in names and any(".." in name.split("/") for name in text.split("\0"))
        if above or names.startswith(b"/") or b"\0/" in names:
            raise ValueError("a file lies outside the folder of the images")
        return cls(names, root.decode(errors="surrogateescape"))


def _encode(path: str) -> bytes:
    """An absolute path without detours, as the file system has it; empty for what cannot be the path of a file."""
    if not path or "\0" in path:
        return b""
    try:
        encoded = os.path.normpath(path).encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return b""
    return encoded if encoded.startswith(b"/") and encoded[1:2] != b"/" and len(encoded) <= _MAX_NAME else b""
