"""Places that a user names to be written to: looked at before any work, and filled in one step, after all that goes
there is on disk.

A folder is only written to if it is new, empty, or holds nothing but what was written there before: `RECORD` says what
that is. Whatever else lies there is the user's.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DamagedError
from .checksums import SUMS, Checked, write_sums
from .files import (
    SIGNATURE,
    exchange,
    flush,
    flush_all,
    leftovers,
    open_regular,
    publish_bytes,
    read_regular,
    reason_of,
    temporary_name,
)

RECORD = ".unpoison.json"
"""In a folder that we wrote: each file in it with its size in bytes and, of what people may edit, its sha256."""
_EDITED = 1 << 20
"""Bytes of a file, above which nobody edits it."""
_PAGE, _HEAD = b"<title>unpoison report</title>", 1 << 12


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is another one, or lies in it, whatever they are called: by links, `..`, in other letters.

    Args:
        path: need not exist.
        folder: may be a file.
    """
    place = _real(path)
    return any(_is_same(above, folder) for above in (place, *place.parents))


def check_apart(out: Path, other: Path, what: str = "which is read") -> None:
    """Makes sure that writing to a place leaves another one as it is.

    Raises:
        ConfigError: one of them lies in the other.
    """
    if lies_in(out, other):
        raise ConfigError(f"{out} lies in {other}, {what}: choose another folder, outside of it")
    if lies_in(other, out):
        raise ConfigError(f"{other}, {what}, lies in {out}, which is to be written: choose another folder")


def check_folder(folder: Path) -> None:
    """Makes sure that there is a folder that can be written to, or that one can be made.

    Raises:
        ConfigError: a file is in its place, or it cannot be written.
    """
    place = next(above for above in (_real(folder), *_real(folder).parents) if os.path.lexists(above))
    if not place.is_dir():
        raise ConfigError(f"cannot write to {folder} ({place} is a file): choose another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write to {folder} ({place} may not be changed): choose another folder")


def check_new(folder: Path) -> None:
    """Makes sure that a folder can be put in a place where nothing is yet.

    Raises:
        ConfigError: the folder holds something, or cannot be written.
    """
    check_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not an empty folder: choose another one")
    _check_movable(folder)


def check_replaceable(folder: Path) -> None:
    """Makes sure that a folder is new, empty or ours, and can be replaced by another one.

    Raises:
        ConfigError: it is not.
    """
    check_folder(folder)
    _check_movable(folder)
    foreign = _foreign(folder)
    if foreign is not None:
        raise ConfigError(
            f"{folder} holds {foreign}, which was not written there by unpoison, or was changed since: choose a new or "
            "empty folder, or move that away"
        )


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside a place, which takes that place at the end of the block, with a record of what is in it.

    What was there before stays until then, and stays if the block or the change fails; only if the new name cannot be
    brought to the disk, which is tried last, there is an error and the new folder. Where the system cannot exchange two
    folders in one step, the change is two renames: of a process that is killed between them, the next call finds both
    folders under names that end in `.tmp`, and puts one into the place before anything else.

    Raises:
        ConfigError: `check_replaceable` refuses the place by now, or it cannot be written.
    """
    final = _real(folder)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _put_back(final)
        with temporary_name(final) as new, temporary_name(final) as old:
            new.mkdir()
            yield new
            # The record comes last: a folder that has one is whole.
            flush_all(new)
            marks = {name: _mark(path) for name, path in _files(new)}
            publish_bytes(new / RECORD, json.dumps({"files": marks}, indent=1).encode())
            check_replaceable(folder)
            if final.exists():
                shutil.copymode(final, new)
            if not exchange(new, final):
                _rename_both(new, final, old)
            # What was there goes only after that: the order of changes on a disk is not known.
            flush(final.parent)
    except OSError as error:
        raise ConfigError(
            f"cannot write to {folder} ({reason_of(error)}): free some space or choose another folder"
        ) from error


@contextmanager
def adding_to(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """An empty folder, whose files take their places in another one at the end of the block, one by one.

    By then all of them are on disk; until then what was in the other one stays, and stays if the block fails. The list
    of checksums, which the block writes, comes last and keeps what it says of other files: if a process is killed
    within these last renames, who reads the folder refuses it.

    Args:
        folder: the other folder, which is created.
        names: of the files that belong together: those that the block does not write go.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with temporary_name(folder / "new") as new:
        new.mkdir()
        yield new
        with suppress(DamagedError):
            listed = Checked(folder).sums.items()
            write_sums(new, (), {n: value for n, value in listed if n not in names and (folder / n).is_file()})
        flush_all(new)
        for name in (*names, SIGNATURE):  # that one was of the list before
            if not (new / name).exists():
                (folder / name).unlink(missing_ok=True)
        for path in sorted(new.iterdir(), key=lambda path: path.name == SUMS):
            path.replace(folder / path.name)
    flush(folder)
    flush(folder.parent)


def is_free(path: Path) -> bool:
    """Whether nothing is lost where a file is written: there is none, or an empty one."""
    try:
        status = path.stat()
    except OSError:
        return not os.path.lexists(path)
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def check_page(path: Path) -> None:
    """Makes sure that a report's page replaces nothing but a page.

    Raises:
        ConfigError: there is something else.
    """
    if not is_free(path) and not _is_page(path):
        raise ConfigError(f"{path} is there, and is no report of unpoison: choose another path")


def _check_movable(folder: Path) -> None:
    final = _real(folder)
    if not final.exists():
        return
    if final.is_mount():
        raise ConfigError(f"cannot write to {folder} (it cannot be replaced in one step): choose a folder in it")
    if lies_in(Path.cwd(), final):
        raise ConfigError(f"cannot write to {folder} (it is replaced, and work goes on in it): choose a folder in it")
    check_folder(final.parent)


def _foreign(folder: Path) -> str | None:
    """What lies in a folder first of all that the record there does not tell, by its name in it."""
    if not folder.exists():
        return None
    known = _recorded(folder)
    if known is None:
        return min((path.name for path in folder.iterdir()), default=None)
    for name, path in _files(folder):
        written = known.get(name)
        # Pages are made anew by `unpoison report`.
        if not written or not (written == _mark(path) or _is_page(path)):
            return name
    return None


def _recorded(folder: Path) -> dict[str, Any] | None:
    """The marks of the files that were written into a folder, by name; None where there is no record."""
    try:
        return dict(json.loads(read_regular(folder / RECORD))["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _put_back(final: Path) -> None:
    """Ends what a killed process began: it had moved the old folder away, and not yet put the new one into its place.
    Either is whole, and either will do."""
    if final.exists():
        return
    for path in leftovers(final.parent, final.name):
        known = _recorded(path)
        if known is not None and _foreign(path) is None and all((path / name).is_file() for name in known):
            path.rename(final)
            return


def _rename_both(new: Path, final: Path, old: Path) -> None:
    """`new` becomes `final`, and what was there `old`; or nothing changes."""
    try:
        if final.exists():
            final.rename(old)
        new.rename(final)
    except BaseException:
        if old.exists() and not final.exists():
            old.rename(final)
        raise


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """All but folders, the record and signatures of lists that are there, by name below the folder."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name == RECORD or (path.name == SIGNATURE and path.with_suffix("").exists()):
            continue
        if path.is_symlink() or not path.is_dir():
            yield name, path


def _mark(path: Path) -> str:
    """What tells that a file was not changed; "" for what is no plain file."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return ""
    size = str(status.st_size)
    return size if status.st_size > _EDITED else f"{size} {hashlib.sha256(read_regular(path)).hexdigest()}"


def _is_page(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return _PAGE in file.read(_HEAD)
    except OSError:
        return False


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one of them does not exist
        return path == _real(other)
