"""What a comparison is: a table or figure that declares its runs and shows their results."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .results import Measures
from .runs import Run
from .scales import Scale
from .table import Column


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a table, or one curve or point of a figure."""

    row: str
    run: Run
    """Its seed is replaced by each of those asked for."""
    group: str = ""
    """Tells lines of the same row apart: a defence, a detector."""
    part: str = ""
    """Where in the result the columns' keys are looked up, with dots; all of it where empty."""
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """By the headings of columns."""
    x: float | None = None
    """Its place in a figure that shows columns against a number."""


class Measured(NamedTuple):
    """A line and what was measured for it."""

    line: Line
    results: Mapping[int, Measures | None]
    """By seed; None where the run failed or was not made."""

    @property
    def done(self) -> bool:
        """Whether any seed was measured."""
        return any(self.results.values())

    def values(self, key: str) -> dict[int, float]:
        """By seed, without what was not measured."""
        found = {seed: lookup(result, self.line.part, key) for seed, result in self.results.items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def mean(self, key: str) -> float | None:
        values = self.values(key)
        return statistics.fmean(values.values()) if values else None

    def first(self, key: str) -> Any:
        """The value of the first seed that has one, of any kind; None without any."""
        found = (lookup(result, self.line.part, key) for result in self.results.values())
        return next((value for value in found if value is not None), None)


Plot = Callable[[Path, "Comparison", Sequence[Measured]], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """A table or figure."""

    name: str
    title: str
    source: str
    """Which table or figure of which paper, or "" for our own."""
    columns: Sequence[Column]
    """Their keys are paths with dots below a line's `part`."""
    lines: Callable[[Scale], list[Line]]
    remarks: Sequence[str] = ()
    """What differs from the paper, and what is left out."""
    plot: Plot | None = None
    pivot: bool = False
    """One table per column, with groups side by side, instead of one table with a line for each group."""


def lookup(result: Measures | None, part: str, key: str) -> Any:
    """The value at a path with dots; None where the path ends early."""
    value: Any = result
    for name in f"{part}.{key}".strip(".").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
