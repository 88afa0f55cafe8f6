"""What was seen of the statistics that the numbers are compared with."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from .rows import ROWS

Side = Literal["clean", "poison"]


class Seen(NamedTuple):
    """All values of one statistic on one side of a number."""

    n: int
    """How many."""
    wrong: int
    """How many of them lie on the other side of the number."""
    least: float
    most: float


class Observations:
    """Values by row and side."""

    def __init__(self) -> None:
        self._values: dict[str, dict[Side, list[float]]] = {}

    def add(self, name: str, side: Side, values: Any) -> None:
        """Adds a number, or an array or tensor of numbers, to what was seen of a row of `ROWS`."""
        self._values.setdefault(name, {}).setdefault(side, []).extend(np.asarray(values, np.float64).ravel().tolist())

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        """JSON values: by the name of a row and by side what `Seen` holds, of finite values."""
        rows = {row.name: row for row in ROWS}
        found: dict[str, dict[str, Any]] = {}
        for name, sides in self._values.items():
            for side, values in sides.items():
                finite = [value for value in values if math.isfinite(value)]
                if finite:
                    wrong = sum(rows[name].wrong(side, value) for value in finite)
                    found.setdefault(name, {})[side] = Seen(len(finite), wrong, min(finite), max(finite))._asdict()
        return found


class Disagreement(AssertionError):
    """A statistic that is worked out here, too, because the package returns its decision alone, is another one."""


def agree(statistic: str, here: bool, package: bool) -> None:
    """Holds a statistic that is repeated here against the package's own decision by it.

    Raises:
        Disagreement: the decisions differ.
    """
    if here != package:
        raise Disagreement(f"{statistic}: the package decides {package}, its statistic as repeated here {here}")
