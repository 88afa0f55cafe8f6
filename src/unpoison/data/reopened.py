"""Cleaned shards without the dataset that they came from, also as others hand them on.

Nothing in them is trusted: headers are read one by one and only plain files with the names that `write_shards` gives
are accepted, so nothing is extracted, unpickled or run, and the sizes of all that is read are bounded.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NamedTuple

import msgspec
import numpy as np

from .. import hub
from ..errors import CacheError, DamagedError
from ..image_files import FILE as FILES
from ..pictures import FILE as PICTURES
from ..report import Report, fields_of
from .checksums import MAX_SUMS, SUMS, Checked
from .encoded import Encoded
from .files import MAX_SIGNATURE, SIGNATURE, open_regular
from .formats import reviewed
from .items import Keys
from .reading import parse_json, parsing
from .record import Record
from .shards import INDEX, INFO, check_image, read_index

_BLOCK = 512
_MAX_INFO, _MAX_REPORT, _MAX_SHARD = 1 << 24, 1 << 32, 1 << 36
_MAX_IMAGE, _MAX_TEXT = 1 << 30, 1 << 16
"""Bytes."""
_MEMBER = re.compile(r"(\d{8})\.([a-z0-9]{1,8})")
_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)]
_Mode = Literal["1", "L", "LA", "I", "F", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"]
"""Of PIL, to convert an image to."""
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


class _Facts(msgspec.Struct):
    """What is read of the member `.json`."""

    source_index: _Number
    mode: _Mode | None = None
    rotate: bool = False


class _Split(msgspec.Struct):
    num_samples: _Number
    filenames: list[Annotated[str, msgspec.Meta(pattern=r"^shard-\d{5}\.tar$")]]


class _Splits(msgspec.Struct):
    train: _Split


class _About(msgspec.Struct):
    names: list[str] | None = None
    """Of the classes by number, where they are known."""
    text_labels: bool = False
    """Whether labels are these names."""


class _Info(msgspec.Struct):
    """What is read of `_info.json`."""

    splits: _Splits
    unpoison: _About | None = None


class ShardSet:
    """The samples of a folder of shards by position: (image, label).

    Args:
        folder: with `shard-00000.tar` and so on and `_info.json`, as `Sanitizer.export` writes it.
        signed_by: the public key that it must be signed with, or a file with it; None where nobody must.

    Raises:
        CacheError: the folder holds something else, or a damaged or incomplete set.
        SignatureError: it is not signed with this key.
    """

    def __init__(self, folder: str | Path, signed_by: str | Path | None = None) -> None:
        self.folder = Path(folder)
        self._files, info = _open(self.folder, signed_by)
        self._report_beside = signed_by is None and "report.json" not in self._files.sums
        self._index = read_index(self._files)
        self.shards = [self.folder / name for name in info.splits.train.filenames]
        about = info.unpoison or _About()
        self._names, self.text_labels = about.names, about.text_labels
        rows: list[tuple[int, int]] = []
        # Few ways of decoding occur, and each is kept once.
        self._decodings: list[_Decoding] = []
        known: dict[_Decoding, _Decoding] = {}
        for label, facts in self._samples():
            rows.append((label, facts.source_index))
            decoding = _Decoding(facts.mode, facts.rotate)
            self._decodings.append(known.setdefault(decoding, decoding))
        if not len(rows) == info.splits.train.num_samples == len(self._index):
            raise CacheError(f"the shards in {folder} hold {len(rows)} samples, not what {INFO} says: copy them again")
        table = np.array(rows, np.int64).reshape(-1, 2)
        self._labels, self.source_index = table[:, 0], table[:, 1]

    @classmethod
    def open(cls, source: str | Path, revision: str | None = None, signed_by: str | Path | None = None) -> "ShardSet":
        """Opens a folder, or a dataset on the Hub ("user/name" or "user/name@revision"), which is downloaded.

        Raises:
            HubError: the dataset cannot be found or reached.
            CacheError: it holds something else.
            SignatureError: it is not signed with the key.
        """
        if isinstance(source, Path) or Path(source).is_dir():
            if revision is not None:
                raise CacheError(f"{source} is a folder, which has no revision: leave revision out")
            return cls(source, signed_by)
        snapshot = hub.open_snapshot(hub.parse(source, revision, "dataset"), INFO, _MAX_INFO)
        folder = snapshot.fetch(INFO, _MAX_INFO).parent
        snapshot.fetch(SUMS, MAX_SUMS)
        if SIGNATURE in (snapshot.files or ()):
            snapshot.fetch(SIGNATURE, MAX_SIGNATURE)
        _, info = _open(folder, signed_by)
        for name in info.splits.train.filenames:
            snapshot.fetch(name, _MAX_SHARD)
        snapshot.fetch(INDEX, _MAX_REPORT)
        for name in {"report.json", "report.npz", PICTURES, FILES} & set(snapshot.files or ()):
            snapshot.fetch(name, _MAX_REPORT)
        return cls(folder, signed_by)

    def __len__(self) -> int:
        return len(self._labels)

    @cached_property
    def report(self) -> Report:
        """Of the run that made the shards, over the samples of the dataset that it cleaned."""
        beside = self.folder.parent / "outcome"  # of a run in the cache
        return Report.load(beside) if self._report_beside and beside.is_dir() else Report(**fields_of(self._files))

    def names(self) -> list[str] | None:
        """The names of the classes by number, where they are known."""
        return self._names

    def label(self, position: int) -> int | str:
        label = int(self._labels[position])
        return self._names[label] if self.text_labels and self._names is not None else label

    def read(self, position: int) -> Record:
        """The sample at a position; its image is decoded when it is asked for.

        Raises:
            CacheError: the shard is gone, or the image in it is not the one that was written.
        """
        row = self._index[position]
        path = self.shards[row["shard"]]
        try:
            with open_regular(path) as file:
                data = _read(file, int(row["offset"]), int(row["size"]))
        except OSError as error:
            raise CacheError(f"the shard {path} cannot be read ({error}): {_ANEW}") from error
        check_image(data, row["image"], path, position)
        mode, rotate = self._decodings[position]
        image = Encoded(data, mode, rotate, formats=reviewed())
        return Record(position, (image, self.label(position)), Keys(0, 1), [])

    def _samples(self) -> Iterator[tuple[int, _Facts]]:
        """The class and the facts of each sample; its place is compared with the index."""
        rows = iter(self._index)
        for number, path in enumerate(self.shards):
            try:
                with open_regular(path) as file:
                    yield from self._samples_of(file, path, number, rows)
            except (OSError, tarfile.TarError, UnicodeError) as error:
                raise CacheError(f"the shard {path} cannot be read ({error}): {_ANEW}") from error

    def _samples_of(
        self, file: BinaryIO, path: Path, number: int, rows: Iterator[np.void]
    ) -> Iterator[tuple[int, _Facts]]:
        found: dict[str, dict[str, _Member]] = {}
        for member in _members(file, path, number):
            found.setdefault(member.key, {})[member.suffix] = member
        for key, parts in found.items():
            images = [part for suffix, part in parts.items() if suffix not in ("cls", "json")]
            if len(images) != 1 or len(parts) != 3:
                raise CacheError(f"sample {key} of {path} is not image, cls and json: {_ANEW}")
            texts = [_read(file, parts[suffix].offset, parts[suffix].size) for suffix in ("cls", "json")]
            with parsing(path):
                try:
                    label, facts = parse_json(texts[0], _Number), parse_json(texts[1], _Facts)
                    if self.text_labels and self._names is not None and label >= len(self._names):
                        raise ValueError("its class has no name")
                    row, (image,) = next(rows), images
                    if (row["shard"], row["offset"], row["size"]) != (number, image.offset, image.size):
                        raise ValueError(f"{INDEX} has another place for it")
                    if hashlib.sha256(b"".join(texts)).digest() != row["facts"].tobytes():
                        raise ValueError("its label and facts are not the ones that were written")
                except (ValueError, StopIteration) as error:
                    raise ValueError(f"sample {key}: {error}") from error
            yield label, facts


def _open(folder: Path, signed_by: str | Path | None) -> tuple[Checked, _Info]:
    """The files of a set, and what `_info.json` says, where those that it names are listed.

    Raises:
        CacheError: it is missing, damaged or says something else.
        SignatureError: the files are not signed with the key.
    """
    if not (folder / INFO).exists():
        raise CacheError(f"{folder} holds no shards that unpoison wrote: {INFO} is missing")
    files = Checked(folder, signed_by)
    info = files.json(INFO, _Info)
    names = info.splits.train.filenames
    if len(set(names)) != len(names) or not set(names) <= set(files.sums):
        raise DamagedError(folder / INFO, f"it names a shard twice, or one that is not in {SUMS}")
    return files, info


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
