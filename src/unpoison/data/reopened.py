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
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import hub
from ..errors import CacheError, DatasetError
from ..report import Report
from .access import Record
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


class _Member(NamedTuple):
    key: str
    suffix: str
    shard: int
    offset: int
    size: int


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
        extra = info.get("unpoison")
        extra = extra if isinstance(extra, dict) else {}
        self._names: list[str] | None = extra.get("names")
        self.text_labels = bool(extra.get("text_labels")) and self._names is not None
        images, labels, self._facts = [], [], []
        for image, label, facts in self._samples():
            images.append((image.shard, image.offset, image.size))
            labels.append(label)
            self._facts.append(facts)
        if len(images) != info["splits"]["train"]["num_samples"]:
            raise CacheError(
                f"the shards in {folder} hold {len(images)} samples, not what {INFO} says: copy them again"
            )
        self._images = np.array(images, np.int64).reshape(-1, 3)
        self.labels: npt.NDArray[np.int64] = np.array(labels, np.int64)

    @classmethod
    def open(cls, source: str | Path, revision: str | None = None) -> "ShardSet":
        """Opens a folder, or a dataset on the Hub ("user/name" or "user/name@revision"), which is downloaded.

        Raises:
            HubError: the dataset cannot be found or reached.
            CacheError: it holds something else.
        """
        if isinstance(source, Path) or Path(source).is_dir():
            return cls(source)
        snapshot = hub.open_snapshot(hub.parse(source, revision, "dataset"), INFO)
        folder = snapshot.fetch(INFO, _MAX_INFO).parent
        for name in _names(_read_info(folder), folder):
            snapshot.fetch(name, _MAX_SHARD)
        for name in {"report.json", "report.npz"} & set(snapshot.files or ()):
            snapshot.fetch(name, _MAX_REPORT)
        return cls(folder)

    def __len__(self) -> int:
        return len(self._images)

    @cached_property
    def report(self) -> Report:
        """Of the run that made the shards, over the samples of the dataset that it cleaned."""
        beside = self.folder.parent / "outcome"
        return Report.load(beside if beside.is_dir() else self.folder)

    @cached_property
    def source_index(self) -> npt.NDArray[np.int64]:
        """int64 [M]; position of each sample in the dataset that was cleaned."""
        return np.array([facts["source_index"] for facts in self._facts], np.int64)

    def names(self) -> list[str] | None:
        """The names of the classes by number, where they are known."""
        return self._names

    def label(self, position: int) -> int | str:
        label = int(self.labels[position])
        return self._names[label] if self.text_labels and self._names is not None else label

    def read(self, position: int) -> Record:
        """The sample at a position; its image is decoded when it is asked for.

        Raises:
            CacheError: the shard is gone or cut off.
            DatasetError: the image is too large or no image.
        """
        shard, offset, size = self._images[position].tolist()
        facts = self._facts[position]
        image = Encoded(
            _read(self.shards[shard], offset, size), mode=facts.get("mode"), rotate=bool(facts.get("rotate"))
        )
        try:
            height, width = image.size
        except Exception as error:
            raise DatasetError(f"sample {position} of {self.folder} is no image ({error}): get the set anew") from error
        if height * width > _MAX_PIXELS:
            raise DatasetError(f"sample {position} of {self.folder} has {height} x {width} pixels: too many to be read")
        return Record(position, (image, self.label(position)), Keys(0, 1), [])

    def _samples(self) -> Iterator[tuple[_Member, int, dict[str, Any]]]:
        for number, path in enumerate(self.shards):
            found: dict[str, dict[str, _Member]] = {}
            for member in _members(path, number):
                found.setdefault(member.key, {})[member.suffix] = member
            for key, parts in found.items():
                images = [part for suffix, part in parts.items() if suffix not in ("cls", "json")]
                if len(images) != 1 or len(parts) != 3:
                    raise CacheError(f"sample {key} of {path} is not image, cls and json: {_ANEW}")
                texts = {suffix: _read(path, parts[suffix].offset, parts[suffix].size) for suffix in ("cls", "json")}
                try:
                    label, facts = int(texts["cls"]), json.loads(texts["json"])
                    if label < 0 or type(facts["source_index"]) is not int or facts["source_index"] < 0:
                        raise ValueError("a number is negative or missing")
                    if self.text_labels and self._names is not None and label >= len(self._names):
                        raise ValueError("its class has no name")
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise CacheError(f"sample {key} of {path} is damaged ({error}): {_ANEW}") from error
                yield images[0], label, facts


_ANEW = "it was not written by unpoison, or damaged; get it anew"


def _read_info(folder: Path) -> dict[str, Any]:
    path = folder / INFO
    try:
        with path.open("rb") as file:
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


def _members(path: Path, shard: int) -> Iterator[_Member]:
    """The plain files of an uncompressed tar, in order. Only headers of 512 bytes are read."""
    try:
        with path.open("rb") as file:
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
    except (OSError, tarfile.TarError, UnicodeError) as error:
        raise CacheError(f"the shard {path} cannot be read ({error}): {_ANEW}") from error


def _read(path: Path, offset: int, size: int) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            data = os.pread(file, size, offset)
        finally:
            os.close(file)
    except OSError as error:
        raise CacheError(f"the shard {path} cannot be read ({error}): {_ANEW}") from error
    if len(data) != size:
        raise CacheError(f"the shard {path} is cut off: {_ANEW}")
    return data
