"""Changes to files, drawn by hypothesis and small to print: each is an object that maps a file's bytes to others.

Places are numbers of any size, taken modulo what there is, so that a change fits every file.
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

PLACE = st.integers(0, (1 << 32) - 1)
_LENGTH = st.integers(1, 600)
_RUN = st.one_of(
    st.binary(min_size=1, max_size=24),
    st.sampled_from([b"\0", b"\xff", b" "]).flatmap(lambda byte: _LENGTH.map(lambda length: byte * length)),
    st.builds(
        lambda number, size, order: (number % (1 << 8 * size)).to_bytes(size, order),
        st.sampled_from([0, 1, 127, 128, 255, 256, (1 << 15) - 1, 1 << 16, (1 << 31) - 1, 1 << 31, 1 << 62, -1]),
        st.sampled_from([1, 2, 4, 8]),
        st.sampled_from(["little", "big"]),
    ),
)
"""Of a few bytes, one byte again and again, or a number where sizes may be."""


@dataclass(frozen=True)
class Flip:
    """One bit."""

    at: int
    bit: int

    def __call__(self, data: bytes) -> bytes:
        at = self.at % len(data)
        return data[:at] + bytes([data[at] ^ 1 << self.bit]) + data[at + 1 :]


@dataclass(frozen=True)
class Write:
    """Other bytes in place of a run of as many."""

    at: int
    new: bytes

    def __call__(self, data: bytes) -> bytes:
        at = self.at % len(data)
        return data[:at] + self.new + data[at + len(self.new) :]


@dataclass(frozen=True)
class Insert:
    """Further bytes."""

    at: int
    new: bytes

    def __call__(self, data: bytes) -> bytes:
        at = self.at % len(data)
        return data[:at] + self.new + data[at:]


@dataclass(frozen=True)
class Cut:
    """Only the beginning."""

    at: int

    def __call__(self, data: bytes) -> bytes:
        return data[: self.at % len(data)]


@dataclass(frozen=True)
class Remove:
    """A run is missing."""

    at: int
    length: int

    def __call__(self, data: bytes) -> bytes:
        at = self.at % len(data)
        return data[:at] + data[at + self.length :]


@dataclass(frozen=True)
class Double:
    """A run is there several times."""

    at: int
    length: int
    times: int

    def __call__(self, data: bytes) -> bytes:
        at = self.at % len(data)
        run = data[at : at + self.length]
        return data[:at] + run * self.times + data[at + self.length :]


@dataclass(frozen=True)
class Swap:
    """Two blocks of 512 bytes, as of tars, change places."""

    one: int
    other: int

    def __call__(self, data: bytes) -> bytes:
        blocks = [data[start : start + 512] for start in range(0, len(data), 512)]
        one, other = self.one % len(blocks), self.other % len(blocks)
        blocks[one], blocks[other] = blocks[other], blocks[one]
        return b"".join(blocks)


BYTES = st.one_of(
    st.builds(Flip, PLACE, st.integers(0, 7)),
    st.builds(Write, PLACE, _RUN),
    st.builds(Insert, PLACE, _RUN),
    st.builds(Cut, PLACE),
    st.builds(Remove, PLACE, _LENGTH),
    st.builds(Double, PLACE, _LENGTH, st.sampled_from([2, 3, 50])),
    st.builds(Swap, PLACE, PLACE),
)
"""Changes to any file."""

DEEP = "[" * 50_000 + "]" * 50_000
_VALUES = (
    "null", "true", "false", "0", "1", "-1", "0.5", "1e999", "-1e999", "NaN", "-Infinity", "1e308", "-1e308", "1e-320",
    str(1 << 31), str(1 << 63), str(-(1 << 63)), "1" * 400, "1" * 5000, '""', '"x"', '"../../x"', '"/etc/passwd"',
    '"\\ud800"', '"\\u0000"', '"\\udcff"', json.dumps("x" * 100_000), '"<script>"', "[]", "[[]]", "[null]", "[0, 0]",
    "{}", '{"": ""}', '{"a": [1]}',
)  # fmt: skip
VALUE = st.sampled_from([*_VALUES, DEEP]).map(lambda text: "DEEP" if text is DEEP else text)
"""JSON texts of every type, and of what is barely one."""


@dataclass(frozen=True)
class Node:
    """Another value in place of one of a JSON text, at any depth."""

    at: int
    new: str

    def __call__(self, data: bytes) -> bytes:
        return _changed(data, self.at, lambda holder, key: _set(holder, key, _MARK), self.new)


@dataclass(frozen=True)
class Missing:
    """One of the values of a JSON text is missing."""

    at: int

    def __call__(self, data: bytes) -> bytes:
        return _changed(data, self.at, lambda holder, key: holder.pop(key))


@dataclass(frozen=True)
class Again:
    """One of the values of a JSON text is there again: in a list after itself, else under another name."""

    at: int
    name: str

    def __call__(self, data: bytes) -> bytes:
        def add(holder: Any, key: Any) -> None:
            holder.insert(key, holder[key]) if isinstance(holder, list) else holder.update({self.name: holder[key]})

        return _changed(data, self.at, add)


_MARK = "\x01mark"


def _set(holder: Any, key: Any, value: Any) -> None:
    holder[key] = value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _changed(data: bytes, at: int, change: Callable[[Any, Any], Any], new: str = "") -> bytes:
    """A JSON text after a change of one of its values; as it is where it is none, such as after another change."""
    try:
        whole = [json.loads(data)]
        # The whole, then all in it.
        places = list(_places(whole))
        change(*places[at % len(places)])
    except (ValueError, RecursionError):
        return data
    text = json.dumps(whole[0]) if whole else ""
    return text.replace(json.dumps(_MARK), DEEP if new == "DEEP" else new).encode()


JSON = st.one_of(
    st.builds(Node, PLACE, VALUE),
    st.builds(Missing, PLACE),
    st.builds(Again, PLACE, st.sampled_from(["", "x", "format"])),
)
"""Changes to JSON texts."""


@dataclass(frozen=True)
class Header:
    """A change to the JSON text at the beginning of a safetensors file."""

    edit: Any

    def __call__(self, data: bytes) -> bytes:
        if len(data) < 8:
            return data
        (size,) = struct.unpack("<Q", data[:8])
        head = self.edit(data[8 : 8 + size]) if data[8 : 8 + size] else b""
        return struct.pack("<Q", len(head)) + head + data[8 + size :]


def several(edits: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """One change or a few."""
    return st.lists(edits, min_size=1, max_size=4)


def mutated(data: bytes, edits: list[Any]) -> bytes:
    """A file after some changes, one after the other."""
    for edit in edits:
        data = edit(data) if data else data
    return data
