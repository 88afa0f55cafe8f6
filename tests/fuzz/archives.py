"""Changes to tars and archives of arrays that keep their outer form, so that they are read up to what is wrong."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mutations import BYTES, JSON, PLACE

# Archives of arrays.

_DESCR = ("'<i8'", "'|O'", "'<U0'", "'<U4'", "'|V0'", "'<f4'", "'|u1'", "'|b1'", "[('a', '<i8')]", "None", "'<M8[ns]'")
_SHAPE = (
    "()", "(0,)", "(1,)", "(-1,)", "(-1, -8)", "(1000000000000,)", "(1 << 70,)", "(4611686018427387904, 0)", "(True,)",
    "(24L,)", "[24]", "(0, 18446744073709551616)", "(" * 900, "(24,",
)  # fmt: skip


@dataclass(frozen=True)
class ArrayHeader:
    """An array of an archive, whose header says something else."""

    at: int
    descr: str | None
    shape: str | None
    empty: bool
    """Whether it has no content."""

    def __call__(self, data: bytes) -> bytes:
        return in_zip(data, self.at, self._changed)

    def _changed(self, data: bytes) -> bytes:
        array = np.load(io.BytesIO(data), allow_pickle=False)
        descr, shape = self.descr or repr(np.lib.format.dtype_to_descr(array.dtype)), self.shape or str(array.shape)
        head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
        return array_file(head, b"" if self.empty else array.tobytes())


@dataclass(frozen=True)
class ArrayValues:
    """An array of an archive that holds something else."""

    at: int
    place: int
    value: Any
    length: int | None

    def __call__(self, data: bytes) -> bytes:
        return in_zip(data, self.at, self._changed)

    def _changed(self, data: bytes) -> bytes:
        array = np.load(io.BytesIO(data), allow_pickle=False)
        array = array if self.length is None or not array.ndim else np.resize(array, (self.length, *array.shape[1:]))
        kind = type(self.value)
        with np.errstate(all="ignore"):
            if array.size and (array.dtype.kind == "U") == (kind is str):
                wide = array.astype("U40") if kind is str else array
                wide.reshape(-1)[self.place % array.size] = np.array(self.value).astype(wide.dtype)
                array = wide
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return buffer.getvalue()


@dataclass(frozen=True)
class ArrayBytes:
    """The file of an array of an archive, changed."""

    at: int
    edit: Any

    def __call__(self, data: bytes) -> bytes:
        return in_zip(data, self.at, self.edit)


@dataclass(frozen=True)
class Repacked:
    """An archive that is compressed, or lacks an array."""

    at: int
    compressed: bool

    def __call__(self, data: bytes) -> bytes:
        parts = unzipped(data)
        if self.compressed:
            return zipped(parts, zipfile.ZIP_DEFLATED)
        left = self.at % max(1, len(parts))
        return zipped({name: part for place, (name, part) in enumerate(parts.items()) if place != left})


def array_file(head: bytes, content: bytes) -> bytes:
    """A `.npy` file."""
    return b"\x93NUMPY\x01\x00" + (len(head) + 1).to_bytes(2, "little") + head + b"\n" + content


def unzipped(data: bytes) -> dict[str, bytes]:
    """The files of an archive by name; none where it is no longer one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            return {name: packed.read(name) for name in packed.namelist()}
    except Exception:  # after other changes
        return {}


def zipped(parts: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def in_zip(data: bytes, at: int, change: Any) -> bytes:
    """An archive with one of its files changed; a file that is no archive is changed itself."""
    parts = unzipped(data)
    name = sorted(parts)[at % len(parts)] if parts else ""
    try:
        new = change(parts[name] if parts else data)
    except Exception:  # another change came first, so that it cannot be made
        return data
    return zipped({**parts, name: new}) if parts else new


ARRAYS = st.one_of(
    st.builds(ArrayHeader, PLACE, st.sampled_from([None, *_DESCR]), st.sampled_from([None, *_SHAPE]), st.booleans()),
    st.builds(
        ArrayValues,
        PLACE,
        PLACE,
        st.sampled_from(
            [0, 1, -1, 255, (1 << 62), float("nan"), float("inf"), 1e308, "", "drop", "\ud800", "\udcff", "\0", "../x"]
        ),
        st.sampled_from([None, None, 0, 1, 23, 1000]),
    ),
    st.builds(ArrayBytes, PLACE, BYTES),
    st.builds(Repacked, PLACE, st.booleans()),
)
"""Changes to archives of arrays, and to arrays."""

# Tars.

_TYPES = (
    tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
    tarfile.DIRTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_SPARSE,
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, b"\0", b"Z",
)  # fmt: skip
_NAMES = (
    "../outside.png", "/tmp/outside.png", "a/../../outside.cls", "0.png", "00000000.png", "00000000.cls", "x", ".png",
    "", "a" * 90 + ".png", "00000000.json", "__0.png", "\udcff.png", "a/0.seg.png", "0.tar", "00000000.npy", "0.PNG",
)  # fmt: skip
_SIZES = (0, 1, 511, 513, 1 << 20, (1 << 33) - 1, 1 << 40, (1 << 62), -1, -512, -(1 << 40))
_PAX = (
    b"20 path=../outside\n", b"30 size=1000000000000000000\n\n", b"99999 path=x\n", b"0 a=b\n", b"-1 a=b\n",
    b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n", b"25 GNU.sparse.size=1000000000\n", b"14 size=-512\n",
    b"40 GNU.sparse.map=0,1,99999999999,1,5,\n\n", b"21 hdrcharset=BINARY\n", b"1" * 5000, b"12 mtime=x\n",
    b"31 GNU.sparse.realsize=99999999999\n",
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A member of a tar whose header says something else, with a checksum that fits; or a further one."""

    at: int
    kind: bytes | None = None
    name: str | None = None
    size: int | None = None
    link: str | None = None
    further: bool = False

    def __call__(self, data: bytes) -> bytes:
        places = headers(data)
        if not places:
            return data
        at = places[self.at % len(places)]
        header = bytearray(data[at : at + 512])
        if self.kind is not None:
            header[156:157] = self.kind
        if self.name is not None:
            header[:100] = self.name.encode(errors="surrogateescape")[:100].ljust(100, b"\0")
        if self.link is not None:
            header[157:257] = self.link.encode()[:100].ljust(100, b"\0")
        if self.size is not None:
            header[124:136] = _number(self.size)
        if self.kind == tarfile.GNUTYPE_SPARSE:
            # Of an old GNU tar: one run of data far away, and how long the whole is.
            header[386:398], header[398:410], header[483:495] = _number(0), _number(0), _number(1 << 36)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return data[:at] + bytes(header) + data[at if self.further else at + 512 :]


@dataclass(frozen=True)
class Pax:
    """A header of a POSIX tar before a member, for it or for all that follow."""

    at: int
    records: bytes
    everywhere: bool = False

    def __call__(self, data: bytes) -> bytes:
        places = headers(data)
        if not places:
            return data
        at = places[self.at % len(places)]
        member = tarfile.TarInfo("pax")
        member.type, member.size = tarfile.XGLTYPE if self.everywhere else tarfile.XHDTYPE, len(self.records)
        return data[:at] + member.tobuf() + self.records.ljust(-(-len(self.records) // 512) * 512, b"\0") + data[at:]


@dataclass(frozen=True)
class Moved:
    """The contents of two members are those of each other."""

    one: int
    other: int

    def __call__(self, data: bytes) -> bytes:
        ends = [*headers(data), len(data)]
        parts = [data[start:end] for start, end in pairwise(ends)]
        if not parts:
            return data
        one, other = self.one % len(parts), self.other % len(parts)
        first, second = parts[one], parts[other]
        parts[one], parts[other] = second[:512] + first[512:], first[:512] + second[512:]
        return data[: ends[0]] + b"".join(parts)


@dataclass(frozen=True)
class Packed:
    """A tar compressed; "zeros" with gzip, behind a member of 400 MB that seems to be an image and takes 400 kB."""

    how: str

    def __call__(self, data: bytes) -> bytes:
        if self.how == "zeros":
            begin, packer = _zeros()
            packer = packer.copy()
            return begin + packer.compress(data) + packer.flush()
        return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[self.how](data)


@cache
def _zeros() -> tuple[bytes, Any]:
    member, packer = tarfile.TarInfo("9.png"), zlib.compressobj(wbits=31)
    member.size = 400 << 20
    return packer.compress(member.tobuf()) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(400)), packer


def headers(data: bytes) -> list[int]:
    """Where the members of a plain tar begin; of one that is no tar, where blocks do."""
    places, at = [], 0
    while at + 512 <= len(data) and data[at : at + 512].strip(b"\0"):
        places.append(at)
        try:
            size = int(data[at + 124 : at + 136].strip(b"\0 ") or b"0", 8)
        except ValueError:
            size = 0
        at += 512 + -(-max(0, size) // 512) * 512
    return places


def _number(value: int) -> bytes:
    """As of 12 bytes in a header: octal where it fits, else to the base of 256."""
    if 0 <= value < 1 << 33:
        return b"%011o\0" % value
    return (b"\x80" if value >= 0 else b"\xff") + (value % (1 << 88)).to_bytes(11)


TAR = st.one_of(
    st.builds(Member, PLACE, st.sampled_from(_TYPES), further=st.booleans()),
    st.builds(Member, PLACE, name=st.sampled_from(_NAMES), further=st.booleans()),
    st.builds(Member, PLACE, size=st.sampled_from(_SIZES)),
    st.builds(
        Member, PLACE, st.sampled_from(_TYPES), st.sampled_from(_NAMES), st.sampled_from(_SIZES),
        st.sampled_from(["../../outside", "/etc/passwd", "0.png", ""]), st.booleans(),
    ),
    st.builds(Pax, PLACE, st.sampled_from(_PAX), st.booleans()),
    st.builds(Moved, PLACE, PLACE),
)  # fmt: skip
"""Changes to tars."""

PACKED = st.builds(Packed, st.sampled_from(["gz", "bz2", "xz", "zeros"]))
"""Of tars that may come compressed; the last change."""


def edits_for(name: str) -> st.SearchStrategy[Any]:
    """Changes to a file, by the end of its name."""
    kinds = {".json": JSON, ".npz": ARRAYS, ".npy": ARRAYS, ".tar": TAR}
    fitting = [edits for end, edits in kinds.items() if name.endswith(end)]
    return st.one_of(BYTES, *fitting)
