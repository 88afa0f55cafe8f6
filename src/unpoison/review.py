"""`keep=`: the samples that a person has looked at and wants to keep, as positions or as a reviewed table."""

import operator
import os
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .errors import ConfigError
from .samples import check_samples, read_samples

if TYPE_CHECKING:
    import pyarrow as pa


class Review(NamedTuple):
    """What `keep=` says, before the dataset is known."""

    kept: list[int]
    """Positions, ascending."""
    table: "pa.Table | None"
    """Where they come from, as `read_samples` gives it; None where positions were given."""

    @classmethod
    def of(cls, keep: Any) -> Self:
        """Reads the argument.

        Args:
            keep: None, positions as a sequence or array of ints, or what `read_samples` reads: the path of a reviewed
                table, or such a table in memory.

        Raises:
            ConfigError: it is something else, the table cannot be read, lacks a column or holds something else than
                that should, or a position is there twice or negative.
        """
        if keep is None:
            return cls([], None)
        if isinstance(keep, str | os.PathLike) or hasattr(keep, "to_pydict") or hasattr(keep, "columns"):
            table = read_samples(keep)
            rows = zip(table["position"].to_pylist(), table["keep"].to_pylist(), strict=True)
            return cls(sorted(row for row, chosen in rows if chosen), table)
        return cls(sorted(_positions(keep)), None)

    def mask(self, content: str, labels: npt.NDArray[np.int64], names: list[str] | None) -> npt.NDArray[np.bool_]:
        """bool [N]: the samples of a dataset that are to be kept.

        Args:
            content: sha256 of its images and labels, in hexadecimal.
            labels: int64 [N]; its class numbers.
            names: of the classes by number, where they are known.

        Raises:
            ConfigError: a position is out of range.
            DatasetError: the table is of another dataset.
        """
        if self.table is not None:
            check_samples(self.table, content=content, labels=labels, names=names)
        outside = [row for row in self.kept if row >= len(labels)]
        if outside:
            raise ConfigError(
                f"keep: there is no position {outside[0]} among {len(labels)} samples: give positions in the dataset "
                "that is cleaned, from 0"
            )
        mask = np.zeros(len(labels), np.bool_)
        mask[self.kept] = True
        return mask


def _positions(keep: Any) -> list[int]:
    if isinstance(keep, bytes) or not isinstance(keep, Iterable):
        raise ConfigError(
            f"keep: got {type(keep).__name__}: give positions as ints, or a reviewed table of report.samples()"
        )
    found: list[int] = []
    for value in keep:
        if isinstance(value, bool | np.bool_) or str(getattr(value, "dtype", "")) == "torch.bool":
            raise ConfigError("keep: got booleans: give positions, as of np.flatnonzero(mask)")
        try:
            found.append(operator.index(value))
        except TypeError as error:
            raise ConfigError(f"keep: {value!r} is no position: give ints") from error
    if found and min(found) < 0:
        raise ConfigError(f"keep: position {min(found)} is negative: count from 0")
    twice = [value for value, count in Counter(found).items() if count > 1]
    if twice:
        raise ConfigError(f"keep: position {twice[0]} is there twice: name each sample once")
    return found
