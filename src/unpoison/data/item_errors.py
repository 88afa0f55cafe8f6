"""Errors that say which item they are about."""

from typing import Any

from ..errors import DatasetError, UnreadableError
from .encoded import describe

_RAW_INSTEAD = "pass the raw dataset and give the augmentation as `transform=`"


class naming_item:
    """Turns any error into a `DatasetError` that names the item and, where it is known, its file."""

    __slots__ = ("_file", "_index")

    def __init__(self, index: int, file: str = "") -> None:
        self._index, self._file = index, file

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        item = f"item {self._index}"
        if isinstance(error, DatasetError):
            if str(error).startswith("item "):
                return
            if isinstance(error, UnreadableError):
                raise UnreadableError(error.reason, error.file or self._file, item) from error
            raise DatasetError(f"{item}{f' ({self._file})' if self._file else ''}: {error}") from error
        if isinstance(error, OSError) and error.filename is not None:
            raise UnreadableError(describe(error), str(error.filename), item) from error
        if isinstance(error, Exception):
            raise UnreadableError(repr(error), self._file, item) from error


def without_frames(error: UnreadableError) -> UnreadableError:
    """The same error, to be kept: the frames that it came from hold the item."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def hidden_augmentation(index: int, advice: str = "") -> DatasetError:
    """The error for an item that is not the same each time."""
    return DatasetError(
        f"item {index} has other pixels or another label each time it is read, so an augmentation is hidden in the "
        f"dataset: {advice or _RAW_INSTEAD}"
    )
