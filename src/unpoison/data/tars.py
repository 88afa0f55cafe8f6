"""WebDataset tars as a table: their images and what may be labels. No other member is looked into."""

import io
import logging
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self

import datasets

from ..printable import printable
from .files import only_regular
from .formats import file_suffixes

_logger = logging.getLogger(__name__)
_NUMBERS, _TEXTS, _FACTS = ("cls", "cls2", "index", "inx", "id"), ("txt", "text", "transcript"), ("json", "jsn")
"""Ends of the names of members that hold a label, and of those that hold all else about a sample."""
_MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_PROBED = 5
_MAX_UNPACKED, _MAX_HEADER = 1 << 27, 1 << 14
"""Bytes of a member where the whole tar has fewer, as compressed ones may, and of what precedes a header."""
_BEFORE = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip
"""Types of members that say more about the next one."""

_READS_AT_END = 8
"""More than it takes to notice the end."""

Sample = dict[str, bytes]
"""Members by field: what follows the first dot of their names."""


class Tars(datasets.GeneratorBasedBuilder):  # type: ignore[misc]
    """Columns are the fields of the samples at the beginning of the first tar."""

    VERSION = datasets.Version("1.0.0")

    def _info(self) -> Any:
        return datasets.DatasetInfo()

    def _split_generators(self, _: Any) -> list[Any]:
        paths = [Path(path) for path in self.config.data_files["train"]]
        begin = [sample for _, sample in islice(_samples(paths[0]), _PROBED)]
        if not begin:
            raise ValueError("it holds no images and labels")
        if any(sample.keys() != begin[0].keys() for sample in begin):
            raise ValueError("its samples have other members each: give all images one extension, and all a label")
        self.info.features = datasets.Features({field: _feature(field) for field in begin[0]})
        return [datasets.SplitGenerator(name=datasets.Split.TRAIN, gen_kwargs={"paths": paths})]

    def _generate_examples(self, paths: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, path in enumerate(paths):
            for place, (key, sample) in enumerate(_samples(path)):
                yield f"{number} {place}", {field: _value(key, field, sample) for field in self.info.features}


class _Header(tarfile.TarInfo):
    """Of a member; one that is damaged is an error, and not the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"a header is damaged ({error})") from None
        if header.type in _BEFORE and not 0 <= header.size <= _MAX_HEADER:
            raise tarfile.ReadError(f"a header has {header.size} bytes where at most {_MAX_HEADER} are expected")
        return header


class _Ending(io.BufferedReader):
    """A plain file that ends: to skip what a member says that it has, `tarfile` reads on and on."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, opener=only_regular))
        self._left = _READS_AT_END

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            self._left -= 1
            if self._left < 0:
                raise tarfile.ReadError("it is cut off")
        return data


def _samples(path: Path) -> Iterator[tuple[str, Sample]]:
    """The samples of a tar by their keys, in order.

    Raises:
        OSError, tarfile.TarError and the like: the tar cannot be read.
        ValueError: a sample has two members of one name.
    """
    key, sample = "", Sample()
    left_out: Counter[str] = Counter()
    first: dict[str, str] = {}
    with _Ending(path) as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=_Header) as tar:
        limit = max(_MAX_UNPACKED, os.fstat(file.fileno()).st_size)
        for member in tar:
            name = _MEMBER.fullmatch(member.name)
            if member.isdir():
                continue
            field = "" if name is None or not member.isreg() else name[2]
            if name is None or not _is_known(field) or member.name.rsplit("/", 1)[-1].startswith("__"):
                if _end(field) not in _FACTS:
                    left_out[field] += 1
                    first.setdefault(field, member.name)
                continue
            if member.issparse() or not 0 <= member.size <= limit:
                what = "is sparse" if member.issparse() else f"has {member.size} bytes, more than {limit}"
                raise ValueError(f"{printable(member.name)} {what}: pack it as a plain file, without compression")
            if name[1] != key:
                if sample:
                    yield key, sample
                key, sample = name[1], {}
            if field in sample:
                raise ValueError(f"{printable(str(path))} has {printable(member.name)} twice")
            content = tar.extractfile(member)
            sample[field] = b"" if content is None else content.read()
            tar.members = []  # type: ignore[attr-defined]  # else all headers stay in memory
    if sample:
        yield key, sample
    for field, count in left_out.items():
        names = printable(str(path)), count, printable(first[field])
        _logger.info("%s: %d members are no images or labels and left out, such as %s", *names)


def _end(field: str) -> str:
    return field.rsplit(".", 1)[-1].lower()


def _is_known(field: str) -> bool:
    return _end(field) in (*_NUMBERS, *_TEXTS) or _is_image(field)


def _is_image(field: str) -> bool:
    return f".{_end(field)}" in file_suffixes()


def _feature(field: str) -> Any:
    if _is_image(field):
        return datasets.Image()
    return datasets.Value("int64" if _end(field) in _NUMBERS else "string")


def _value(key: str, field: str, sample: Sample) -> Any:
    """As the column holds it; None where the sample has no such member.

    Raises:
        ValueError: it is no number, and should be.
    """
    if field not in sample:
        return None
    if _is_image(field):
        return {"path": printable(f"{key}.{field}"), "bytes": sample[field]}
    if _end(field) in _TEXTS:
        return sample[field].decode("utf-8", "backslashreplace")
    try:
        return int(sample[field])
    except ValueError as error:
        raise ValueError(f"{printable(key)}.{field} holds no number: {sample[field][:40]!r}") from error
