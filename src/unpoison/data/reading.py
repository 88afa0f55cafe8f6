"""Small files, read within limits and by a schema: they may be damaged, or come from strangers.

JSON is checked against a type, arrays against their kind and number of dimensions. Archives of arrays are not
compressed, so that nothing takes more memory than the file has bytes.
"""

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import DamagedError, UnpoisonError
from .files import open_regular

T = TypeVar("T")
Schema = Mapping[str, tuple[str, int]]
"""For each array by name its `dtype.kind` and number of dimensions."""
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _int64(text: str) -> int:
    value = int(text)
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"the number {text[:20]}... is too large")
    return value


_DECODER = json.JSONDecoder(parse_int=_int64)


@contextmanager
def opening(path: Path, limit: int) -> Iterator[io.BufferedReader]:
    """A plain file of at most so many bytes, opened for reading.

    Raises:
        DamagedError: it is missing, larger or something else, or cannot be read.
    """
    try:
        with open_regular(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > limit:
                raise DamagedError(path, f"it has {size} bytes where at most {limit} are expected")
            yield file
    except OSError as error:
        raise DamagedError(path, error.strerror or str(error)) from error


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file; raises as `opening` does."""
    with opening(path, limit) as file:
        return file.read()


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turns the errors of what parses a file's content into one that names the file.

    Raises:
        DamagedError: in place of a ValueError, or what else nonsense in a file raises.
    """
    try:
        yield
    except UnpoisonError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
        raise DamagedError(path, repr(error) if isinstance(error, KeyError) else str(error)) from error


def parse_json(data: bytes, schema: type[T]) -> T:
    """A JSON text as a value of a type, such as a dataclass or a `msgspec.Struct`.

    Raises:
        ValueError: it is no JSON, or says something else.
    """
    try:
        return msgspec.convert(_DECODER.decode(data.decode()), schema)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def parse_array(data: bytes, kind: str, dimensions: int) -> npt.NDArray[Any]:
    """What `np.save` wrote, without pickle.

    Raises:
        ValueError: it is something else, or not of this `dtype.kind` and number of dimensions.
    """
    stream = io.BytesIO(data)
    header = _array_header(stream, len(data), kind, dimensions)
    values = np.ndarray(header.shape, header.dtype, data, stream.tell(), order=header.order)
    array: npt.NDArray[Any] = values.copy(header.order)
    if kind == "U" and array.size:
        codes = np.frombuffer(array.astype(header.dtype.newbyteorder("=")).tobytes(), np.uint32)
        escapes = (codes >= 0xDC80) & (codes <= 0xDCFF)
        if codes.max(initial=0) > 0x10FFFF or ((codes >= 0xD800) & (codes <= 0xDFFF) & ~escapes).any():
            raise ValueError("a text holds what is neither a character nor a byte of a file's name")
    return array


def map_array(path: Path, limit: int, kind: str, dimensions: int) -> npt.NDArray[Any]:
    """A large file that `np.save` wrote, memory-mapped copy-on-write: changes never reach the file.

    Raises:
        DamagedError: it is missing, has more bytes than the limit, or is not an array of this `dtype.kind` and number
            of dimensions.
    """
    with parsing(path), opening(path, limit) as file:
        header = _array_header(file, os.fstat(file.fileno()).st_size, kind, dimensions)
        return np.memmap(file, header.dtype, "c", file.tell(), header.shape, header.order)


class _ArrayHeader(NamedTuple):
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]


def _array_header(stream: BinaryIO, size: int, kind: str, dimensions: int) -> _ArrayHeader:
    """Reads what `np.save` wrote up to the values themselves, of a file of so many bytes; raises as `parse_array`."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"arrays of version {version} are not read")
    try:
        shape, is_fortran, dtype = _HEADERS[version](stream)
    except Exception as error:  # Python's literals can go wrong in many ways
        raise ValueError(f"the header of an array cannot be read ({error})") from error
    if dtype.kind != kind or len(shape) != dimensions or dtype.hasobject:
        raise ValueError(f"an array has kind {dtype.kind!r} and {len(shape)} dimensions, not {kind!r} and {dimensions}")
    count = math.prod(shape)
    # Values without a length would be as many as the header says, and take memory all the same.
    fits = count * dtype.itemsize == size - stream.tell() and (dtype.itemsize > 0 or count == 0)
    if not fits or min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {shape} has another number of bytes")
    return _ArrayHeader(shape, "F" if is_fortran else "C", dtype)


def parse_arrays(data: bytes, schema: Schema, optional: Schema | None = None) -> dict[str, npt.NDArray[Any]]:
    """Those of the arrays that `np.savez` wrote which the schema names; of the optional ones, those that are there.

    Raises:
        ValueError: it is something else, is compressed, or lacks an array.
    """
    optional = optional or {}
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            entries = {entry.filename.removesuffix(".npy"): entry for entry in packed.infolist()}
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
                raise ValueError("it is compressed")
            if sum(entry.file_size for entry in packed.infolist()) > len(data):
                raise ValueError("it unpacks to more than it holds")
            if missing := sorted(set(schema) - set(entries)):
                raise ValueError(f"it lacks {', '.join(missing)}")
            for name, (kind, dimensions) in {**optional, **schema}.items():
                if name in entries:
                    try:
                        arrays[name] = parse_array(packed.read(entries[name]), kind, dimensions)
                    except ValueError as error:
                        raise ValueError(f"{name}: {error}") from error
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return arrays
