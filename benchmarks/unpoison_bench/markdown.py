"""The table of a comparison, with the paper's figures beside ours, and the same as JSON: pure functions."""

import statistics
from collections.abc import Sequence
from typing import Any

from .comparison import Comparison, Measured
from .scales import Scale
from .table import MISSING, Column, machine_line, markdown_table

SMOKE = (
    "Scale smoke: a few dozen images per class and tiny networks, to test that everything runs. **The figures say "
    "nothing about the methods.**"
)


def markdown(comparison: Comparison, scale: Scale, measured: Sequence[Measured]) -> str:
    """Means over the seeds, ± standard deviation where there are several; a dash where nothing was measured."""
    seeds = sorted({seed for entry in measured for seed in entry.results})
    parts = [f"# {comparison.title}", _about(comparison, scale, seeds)]
    if comparison.pivot:
        for column in comparison.columns:
            parts += [f"## {column.heading}", _pivoted(column, measured)]
    else:
        parts.append(_table(comparison, measured))
    if comparison.plot and any(entry.done for entry in measured):
        parts.append(f"![{comparison.title}]({comparison.name}.png)")
    remarks = [*comparison.remarks, *_missing(measured), *_machines(measured)]
    parts.append("\n".join(f"- {remark}" for remark in remarks))
    return "\n\n".join(parts) + "\n"


def as_json(comparison: Comparison, scale: Scale, measured: Sequence[Measured]) -> dict[str, Any]:
    """Every value of every seed, the paper's beside them, and the files of the runs."""
    return {
        "experiment": comparison.name,
        "source": comparison.source,
        "scale": scale.name,
        "remarks": list(comparison.remarks),
        "lines": [
            {
                "row": entry.line.row,
                "group": entry.line.group,
                "x": entry.line.x,
                "runs": {
                    seed: entry.line.run.with_seed(seed).file if result else None
                    for seed, result in entry.results.items()
                },
                "values": {column.heading: entry.values(column.key) for column in comparison.columns},
                "published": dict(entry.line.published),
            }
            for entry in measured
        ],
    }


def _about(comparison: Comparison, scale: Scale, seeds: list[int]) -> str:
    images = ", ".join(f"{name}: {count or 'all'}" for name, count in scale.per_class.items())
    size = SMOKE if scale.short else f"Scale {scale.name}."
    paper = f" Beside ours, where it prints any, the figures of {comparison.source}." if comparison.source else ""
    return (
        f"{size} Preset {scale.preset}; images per class: {images}; seeds: {', '.join(map(str, seeds))}.{paper} "
        f"Columns: see benchmarks/README.md."
    )


def _table(comparison: Comparison, measured: Sequence[Measured]) -> str:
    grouped = any(entry.line.group for entry in measured)
    headings = ["row", *(["of"] if grouped else [])]
    shown = [
        (column, any(column.heading in entry.line.published for entry in measured)) for column in comparison.columns
    ]
    for column, beside in shown:
        headings += [column.heading, *([f"{column.heading} (paper)"] if beside else [])]
    lines = []
    for entry in measured:
        cells = [entry.line.row, *([entry.line.group] if grouped else [])]
        for column, beside in shown:
            cells.append(cell(column, entry))
            if beside:
                value = entry.line.published.get(column.heading)
                cells.append(MISSING if value is None else column.show(value))
        lines.append(cells)
    return markdown_table(headings, lines)


def _pivoted(column: Column, measured: Sequence[Measured]) -> str:
    found = [entry for entry in measured if entry.values(column.key)]
    groups = list(dict.fromkeys(entry.line.group for entry in found))
    rows = list(dict.fromkeys(entry.line.row for entry in found))
    cells = {(entry.line.row, entry.line.group): cell(column, entry) for entry in found}
    return markdown_table(
        ["row", *groups], [[row, *(cells.get((row, group), MISSING) for group in groups)] for row in rows]
    )


def cell(column: Column, entry: Measured) -> str:
    """Mean and spread of a line's values."""
    values = list(entry.values(column.key).values())
    if not values:
        return MISSING
    shown = column.show(statistics.fmean(values))
    return shown if len(values) == 1 else f"{shown} ± {column.show(statistics.stdev(values))}"


def _missing(measured: Sequence[Measured]) -> list[str]:
    count = len(
        {entry.line.run.with_seed(seed) for entry in measured for seed, r in entry.results.items() if r is None}
    )
    return [f"{count} runs are missing: they failed, or were interrupted"] if count else []


def _machines(measured: Sequence[Measured]) -> list[str]:
    """Each machine and commit once."""
    return list(dict.fromkeys(machine_line(r["machine"]) for entry in measured for r in entry.results.values() if r))
