"""Tables in Markdown, and what stands in their cells."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .results import Measures

MISSING = "–"


class Column(NamedTuple):
    """A heading and the key and digits of what stands below it."""

    heading: str
    key: str
    show: Callable[[Any], str]

    def cell(self, values: Measures) -> str:
        """A dash where nothing was measured."""
        value = values.get(self.key)
        return MISSING if value is None else self.show(value)


def percent(digits: int) -> Callable[[Any], str]:
    """Shows fractions as percentages."""
    return lambda value: f"{100 * value:.{digits}f} %"


def number(digits: int) -> Callable[[Any], str]:
    """Shows numbers with so many decimals."""
    return lambda value: f"{value:.{digits}f}"


def markdown_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of cells; all columns but the first hold numbers."""
    return "\n".join([_line(headings), "|---|" + "---:|" * (len(headings) - 1), *(_line(cells) for cells in lines)])


def columns_table(name: str, columns: Sequence[Column], rows: Iterable[tuple[str, Measures]]) -> str:
    """A table with a line for each of the rows, which are names and values; `name` is the heading of the names."""
    headings = [name, *(column.heading for column in columns)]
    return markdown_table(headings, ([row, *(column.cell(values) for column in columns)] for row, values in rows))


def machine_line(machine: Measures) -> str:
    """Machine, versions and commit in a line."""
    commit = MISSING if machine["commit"] is None else machine["commit"][:12] + (" + changes" * bool(machine["dirty"]))
    return (
        f"{machine['device_name']}, {machine['cpu_count']} cores, {machine['torch_threads']} torch threads, "
        f"{machine['platform']}; torch {machine['torch']}, unpoison {machine['unpoison']}, commit {commit}"
    )


def machines_section(measured: Iterable[Measures]) -> str:
    """The machines that results come from, each once."""
    lines = dict.fromkeys(
        f"- {machine_line(one['machine'])}; {one['machine']['cpu_capability']}, {one['machine']['precision']}"
        for one in measured
    )
    return "## Machines\n\n" + "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
