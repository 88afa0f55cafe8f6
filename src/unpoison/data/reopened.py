"""Cleaned shards without the dataset that they came from, also as others hand them on.

Nothing in them is trusted: headers are read one by one and only plain files with the names that `write_shards` gives
are accepted, so nothing is extracted, unpickled or run, and the sizes of all that is read are bounded.
"""

import json
import os
import re
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .. import hub
from ..errors import CacheError
from ..image_files import FILE as FILES
from ..pictures import FILE as PICTURES
from ..report import Report
from .access import Record
from .files import open_regular
from .formats import reviewed
from .items import Keys
from .pixels import Encoded
from .shards import INFO

_BLOCK = 512
_MAX_INFO, _MAX_REPORT, _MAX_SHARD = 1 << 24, 1 << 30, 1 << 36
_MAX_IMAGE, _MAX_TEXT = 1 << 26, 1 << 16
"""Bytes."""
_MAX_PIXELS = 1 << 26
_MEMBER = re.compile(r"(\d{8})\.([a-z0-9]{1,8})")
_SHARD = re.compile(r"shard-\d{5}\.tar")
_MODES = ("1", "L", "LA", "I", "F", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV")
"""Of PIL, to convert an image to."""
_MAX_NUMBER = 1 << 48
_ANEW = "it was not written by unpoison, or damaged; get it anew"


class _Member(NamedTuple):
    key: str
    suffix: str
    shard: int
    offset: int
    size: int


class _Decoding(NamedTuple):
    mode: str | None
    rotate: bool


class _Facts(NamedTuple):
    label: int
    source_index: int
    decoding: _Decoding


class ShardSet:
    """The samples of a folder of shards by position: (image, label).

    Args:
        folder: with `shard-00000.tar` and so on and `_info.json`, as `Sanitizer.export` writes it.

    Raises:
        CacheError: the folder holds something else, or a damaged or incomplete set.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        info = _read_info(self.folder)
        self.shards = [self.folder / name for name in _names(info, self.folder)]
        self._names, self.text_labels = _classes(info, self.folder)
        rows: list[tuple[int, int, int, int, int]] = []
        # Few ways of decoding occur, and each is kept once.
        self._decodings: list[_Decoding] = []
        known: dict[_Decoding, _Decoding] = {}
        for image, facts in self._samples():
            rows.append((image.shard, image.offset, image.size, facts.label, facts.source_index))
            self._decodings.append(known.setdefault(facts.decoding, facts.decoding))
        if len(rows) != info["splits"]["train"]["num_samples"]:
            raise CacheError(f"the shards in {folder} hold {len(rows)} samples, not what {INFO} says: copy them again")
        table = np.array(rows, np.int64).reshape(-1, 5)
        self._images, self._labels, self.source_index = table[:, :3], table[:, 3], table[:, 4]

    @classmethod
    def open(cls, source: str | Path, revision: str | None = None) -> "ShardSet":
        """Opens a folder, or a dataset on the Hub ("user/name" or "user/name@revision"), which is downloaded.

        Raises:
            HubError: the dataset cannot be found or reached.
            CacheError: it holds something else.
        """
        if isinstance(source, Path) or Path(source).is_dir():
            if revision is not None:
                raise CacheError(f"{source} is a folder, which has no revision: leave revision out")
            return cls(source)
        snapshot = hub.open_snapshot(hub.parse(source, revision, "dataset"), INFO, _MAX_INFO)
        folder = snapshot.fetch(INFO, _MAX_INFO).parent
        for name in _names(_read_info(folder), folder):
            snapshot.fetch(name, _MAX_SHARD)
        for name in {"report.json", "report.npz", PICTURES, FILES} & set(snapshot.files or ()):
            snapshot.fetch(name, _MAX_REPORT)
        return cls(folder)

    def __len__(self) -> int:
        return len(self._labels)

    @cached_property
    def report(self) -> Report:
        """Of the run that made the shards, over the samples of the dataset that it cleaned."""
        beside = self.folder.parent / "outcome"
        return Report.load(beside if beside.is_dir() else self.folder)

    def names(self) -> list[str] | None:
        """The names of the classes by number, where they are known."""
        return self._names

    def label(self, position: int) -> int | str:
        label = int(self._labels[position])
        return self._names[label] if self.text_labels and self._names is not None else label

    def read(self, position: int) -> Record:
        """The sample at a position; its image is decoded when it is asked for.

        Raises:
            CacheError: the shard is gone or cut off.
        """
        shard, offset, size = self._images[position].tolist()
        mode, rotate = self._decodings[position]
        try:
            with open_regular(self.shards[shard]) as file:
                image = Encoded(_read(file, offset, size), mode, rotate, _MAX_PIXELS, formats=reviewed())
        except OSError as error:
            raise CacheError(f"the shard {self.shards[shard]} cannot be read ({error}): {_ANEW}") from error
        return Record(position, (image, self.label(position)), Keys(0, 1), [])

    def _samples(self) -> Iterator[tuple[_Member, _Facts]]:
        for number, path in enumerate(self.shards):
            try:
                with open_regular(path) as file:
                    yield from self._samples_of(file, path, number)
            except (OSError, tarfile.TarError, UnicodeError) as error:
                raise CacheError(f"the shard {path} cannot be read ({error}): {_ANEW}") from error

    def _samples_of(self, file: BinaryIO, path: Path, number: int) -> Iterator[tuple[_Member, _Facts]]:
        found: dict[str, dict[str, _Member]] = {}
        for member in _members(file, path, number):
            found.setdefault(member.key, {})[member.suffix] = member
        for key, parts in found.items():
            images = [part for suffix, part in parts.items() if suffix not in ("cls", "json")]
            if len(images) != 1 or len(parts) != 3:
                raise CacheError(f"sample {key} of {path} is not image, cls and json: {_ANEW}")
            try:
                facts = _parse(*(_read(file, parts[suffix].offset, parts[suffix].size) for suffix in ("cls", "json")))
                if self.text_labels and self._names is not None and facts.label >= len(self._names):
                    raise ValueError("its class has no name")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise CacheError(f"sample {key} of {path} is damaged ({error}): {_ANEW}") from error
            yield images[0], facts


def _parse(label: bytes, facts: bytes) -> _Facts:
    """What the members `.cls` and `.json` say.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: something else.
    """
    values = json.loads(facts)
    numbers = int(label), values["source_index"]
    if not all(type(number) is int and 0 <= number < _MAX_NUMBER for number in numbers):
        raise ValueError("a number is missing or out of range")
    mode = values.get("mode")
    if mode is not None and mode not in _MODES:
        raise ValueError("the mode of the image is unknown")
    return _Facts(*numbers, _Decoding(mode, bool(values.get("rotate"))))


def _read_info(folder: Path) -> dict[str, Any]:
    path = folder / INFO
    try:
        with open_regular(path) as file:
            info = json.loads(file.read(_MAX_INFO))
        if type(info["splits"]["train"]["num_samples"]) is int:
            return dict(info)
    except FileNotFoundError as error:
        raise CacheError(f"{folder} holds no shards that unpoison wrote: {INFO} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CacheError(f"{path} cannot be read ({error}): {_ANEW}") from error
    raise CacheError(f"{path} is damaged: {_ANEW}")


def _names(info: dict[str, Any], folder: Path) -> list[str]:
    names = info["splits"]["train"].get("filenames")
    if not isinstance(names, list) or not all(isinstance(name, str) and _SHARD.fullmatch(name) for name in names):
        raise CacheError(f"{folder / INFO} names other files than shard-00000.tar and so on: {_ANEW}")
    return names


def _classes(info: dict[str, Any], folder: Path) -> tuple[list[str] | None, bool]:
    """The names of the classes, where they are known, and whether labels are these names."""
    facts = info.get("unpoison")
    if not isinstance(facts, dict) or (names := facts.get("names")) is None:
        return None, False
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CacheError(f"{folder / INFO} names the classes by something else than text: {_ANEW}")
    return names, bool(facts.get("text_labels"))


def _members(file: BinaryIO, path: Path, shard: int) -> Iterator[_Member]:
    """The plain files of an uncompressed tar, in order. Only headers of 512 bytes are read."""
    length, position = path.stat().st_size, 0
    while block := os.pread(file.fileno(), _BLOCK, position).rstrip(b"\0"):
        header = tarfile.TarInfo.frombuf(block.ljust(_BLOCK, b"\0"), "ascii", "strict")
        name = _MEMBER.fullmatch(header.name)
        if header.type != tarfile.REGTYPE or name is None:
            raise CacheError(f"{path} holds {header.name[:80]!r}, which is no plain sample: {_ANEW}")
        limit = _MAX_TEXT if name[2] in ("cls", "json") else _MAX_IMAGE
        offset = position + _BLOCK
        if not 0 <= header.size <= limit or offset + header.size > length:
            raise CacheError(f"{header.name} in {path} has {header.size} bytes, which cannot be: {_ANEW}")
        yield _Member(name[1], name[2], shard, offset, header.size)
        position = offset + -(-header.size // _BLOCK) * _BLOCK


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    data = os.pread(file.fileno(), size, offset)
    if len(data) != size:
        raise OSError("it is cut off")
    return data
