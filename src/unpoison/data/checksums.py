"""Folders that say in `SHA256SUMS` what their files hold, in the format of the program `sha256sum`.

A file is read only as far as it is what was written: whatever happened to it since is an error, or it is made again.
Files that people change, such as README.md, and pages are not listed. Where the list is signed, `SHA256SUMS.minisig`
says by whom.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from ..errors import CacheError, DamagedError
from ..printable import printable
from .files import SIGNATURE, flush, open_regular, publish_bytes, publishing_folder, temporary_name
from .reading import Schema, T, opening, parse_array, parse_arrays, parse_json, parsing, read_bytes

SUMS = "SHA256SUMS"
MAX_SUMS, MAX_JSON, MAX_FILE = 1 << 24, 1 << 26, 1 << 36
"""Bytes of the list, of a JSON file and of any other."""
_LINE = re.compile(r"([0-9a-f]{64})  (\w[\w-]*(?:[./]\w[\w-]*)*)", re.ASCII)
_UNLISTED = (".md", ".html")
_logger = logging.getLogger(__name__)


class _Format(msgspec.Struct):
    format: int


class Checked:
    """A folder whose files are compared with its `SHA256SUMS` when they are read.

    Args:
        folder: with `SHA256SUMS`.
        signed_by: the public key that the list must be signed with, or a file with it; None where nobody must.

    Raises:
        DamagedError: the list is missing or damaged.
        SignatureError: it is not signed, or not so.
        ConfigError: `signed_by` is no key.
        MissingExtraError: py-minisign is not installed.
    """

    def __init__(self, folder: Path, signed_by: str | Path | None = None) -> None:
        self.folder, path = folder, folder / SUMS
        self._sums: dict[str, str] = {}
        if not path.exists():
            raise DamagedError(path, "there are no checksums, as in what older versions wrote")
        data = read_bytes(path, MAX_SUMS)
        if signed_by is not None:
            from .signatures import check_signature  # the library is an extra

            check_signature(folder / SIGNATURE, data, signed_by)
        with parsing(path):
            for line in data.decode("ascii").splitlines():
                found = _LINE.fullmatch(line)
                if found is None or found[2] in self._sums:
                    raise ValueError(f"{line[:80]!r} is not a checksum and a name")
                self._sums[found[2]] = found[1]

    @property
    def sums(self) -> Mapping[str, str]:
        """sha256 by name, in hexadecimal."""
        return self._sums

    def has(self, name: str) -> bool:
        """Whether there is such a file.

        Raises:
            DamagedError: it is there and not listed, or listed and not there.
        """
        if (name in self._sums) != (self.folder / name).exists():
            raise DamagedError(self.folder / name, f"it is {'not there' if name in self._sums else 'not in'} {SUMS}")
        return name in self._sums

    def check(self, name: str, limit: int = MAX_FILE) -> Path:
        """The path of a file, which is read once.

        Raises:
            DamagedError: it is missing, too large or not what it was.
        """
        path = self.folder / name
        with opening(path, limit) as file:
            self._compare(name, hashlib.file_digest(file, "sha256").hexdigest())
        return path

    def check_all(self, leaving: tuple[str, ...] = ()) -> None:
        """Checks every file that is listed, but for those whose names begin in some way.

        Raises:
            DamagedError: as `check` does.
        """
        for name in self._sums:
            if not name.startswith(leaving):
                self.check(name)

    def read(self, name: str, limit: int = MAX_FILE) -> bytes:
        """The content of a file; raises as `check` does."""
        data = read_bytes(self.folder / name, limit)
        self._compare(name, hashlib.sha256(data).hexdigest())
        return data

    def json(self, name: str, schema: type[T], newest: int | None = None) -> T:
        """A JSON file as a value of a type.

        Args:
            newest: the highest number that its entry `format` may have; None where it has none.

        Raises:
            DamagedError: it is not what it was, or says something else.
            CacheError: it has a newer format.
        """
        data, path = self.read(name, MAX_JSON), self.folder / name
        with parsing(path):
            if newest is not None and parse_json(data, _Format).format > newest:
                raise CacheError(f"{path} was written by a newer unpoison: upgrade the package")
            value = parse_json(data, schema)
            # Text may hold what is neither text nor the name of a file, and cannot be written anywhere again.
            json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode(errors="surrogateescape")
            return value

    def array(self, name: str, kind: str, dimensions: int) -> npt.NDArray[Any]:
        """An array of this `dtype.kind`; raises as `json` does."""
        data = self.read(name)
        with parsing(self.folder / name):
            return parse_array(data, kind, dimensions)

    def arrays(
        self, name: str, schema: Schema, optional: Schema | None = None, limit: int = MAX_FILE
    ) -> dict[str, npt.NDArray[Any]]:
        """Arrays by name; raises as `json` does."""
        data = self.read(name, limit)
        with parsing(self.folder / name):
            return parse_arrays(data, schema, optional)

    def copy_to(self, folder: Path) -> None:
        """Copies the files into another folder, which then lists them, too.

        Raises:
            DamagedError: one is not what it was.
            OSError: the folder cannot be written.
        """
        for name in self._sums:
            copy = folder / name
            shutil.copyfile(self.folder / name, copy)
            self._compare(name, sha256_of(copy))
            flush(copy)
        _write(folder, self._sums)

    def _compare(self, name: str, found: str) -> None:
        if self._sums.get(name) != found:
            raise DamagedError(self.folder / name, f"its content is not the one that {SUMS} lists")


def sha256_of(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path, names: Iterable[str], known: Mapping[str, str] | None = None) -> None:
    """Lists files of a folder, besides those that are listed already. What it lists is then on disk.

    Args:
        folder: where the files lie.
        names: of the files, below the folder.
        known: sha256 by name of further files, which are on disk.
    """
    sums = dict(known or {})
    for name in names:
        flush(folder / name)
        sums[name] = sha256_of(folder / name)
    _write(folder, sums)


def _write(folder: Path, sums: Mapping[str, str]) -> None:
    known: dict[str, str] = {}
    with suppress(DamagedError):
        known = {name: value for name, value in Checked(folder).sums.items() if (folder / name).is_file()}
    lines = (f"{value}  {name}\n" for name, value in sorted({**known, **sums}.items()))
    (folder / SIGNATURE).unlink(missing_ok=True)  # it was of the list before
    publish_bytes(folder / SUMS, "".join(lines).encode())


@contextmanager
def publishing_checked(final: Path) -> Iterator[Path]:
    """An empty folder that becomes `final` at the end of the block, with all that lies in it listed and on disk. A
    damaged one that is there already is removed."""
    if final.exists() and (damage := _damage(final)) is not None:
        _logger.warning("made again: %s", printable(str(damage)))
        with temporary_name(final) as aside, suppress(FileNotFoundError):
            final.rename(aside)
    with publishing_folder(final) as temporary:
        yield temporary
        names = {path.relative_to(temporary).as_posix() for path in temporary.rglob("*") if path.is_file()}
        listed = set(Checked(temporary).sums) if SUMS in names else set()
        write_sums(temporary, (name for name in names - listed if name != SUMS and not name.endswith(_UNLISTED)))


def is_whole(folder: Path) -> bool:
    """Whether a folder is there and every file that it lists is what it was."""
    return folder.is_dir() and _damage(folder) is None


def _damage(folder: Path) -> DamagedError | None:
    try:
        Checked(folder).check_all()
    except DamagedError as error:
        return error
    return None
