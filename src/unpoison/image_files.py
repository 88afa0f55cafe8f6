"""The files that a dataset's images come from, of all samples, in little memory.

Saved beside the report's arrays, without pickle. The file may come from strangers: types, sizes and names are checked
before anything is used.
"""

import dataclasses
import io
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from .data.files import read_regular

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
        np.savez_compressed(folder / FILE, allow_pickle=False, **arrays_of_bytes)

    @classmethod
    def load(cls, folder: Path, samples: int) -> Self | None:
        """Reads what `save` wrote beside a report on so many samples; None where there is no such file.

        Raises:
            OSError, ValueError and the like: it is damaged, or not what `save` writes.
        """
        path, limit = folder / FILE, (samples + 2) * _MAX_NAME
        if not path.is_file():
            return None
        if path.stat().st_size > limit:
            raise ValueError(f"{FILE} is too large")
        content = io.BytesIO(read_regular(path))
        with zipfile.ZipFile(content) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > limit:
                raise ValueError(f"{FILE} unpacks to more than {limit} bytes")
        with np.load(content, allow_pickle=False) as arrays:
            values = [arrays[name] for name in ("packed", "folder")]
        if not all(value.dtype == np.uint8 and value.ndim == 1 for value in values):
            raise ValueError("the names of the files are no text")
        names, root = (value.tobytes() for value in values)
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
