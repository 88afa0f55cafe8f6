"""The page that people read, made from the sets' JSON files."""

from collections.abc import Sequence
from typing import Any

from ..results import Measures
from ..table import MISSING, Column, machine_line, number, percent
from .bars import bars, harmed

COUNTS = (Column("samples", "samples", number(0)), Column("classes", "classes", number(0)))
HARM = (
    Column("clean flagged", "clean_flagged_share", percent(2)),
    Column("samples flagged", "clean_flagged", number(0)),
    Column("worst class", "worst_class_altered_share", percent(2)),
    Column("kinds", "clean_kinds", lambda kinds: _kinds(kinds)),
)
COST = (Column("CPU, s", "cpu_seconds", number(0)), Column("wall, s", "wall_seconds", number(0)))
CLEAN = (*COUNTS, *HARM, *COST)
NOISY = (
    *COUNTS,
    Column("wrong labels", "wrong", number(0)),
    Column("of them flagged", "wrong_flagged", number(0)),
    Column("wrong, of flagged", "flagged_wrong_share", percent(1)),
    Column("called backdoor", "called_backdoor", number(0)),
    *HARM,
    *COST,
)
POISONED = (
    *COUNTS,
    Column("poisoned", "poisoned", number(0)),
    Column("AP", "average_precision", number(3)),
    Column("TPR", "tpr", percent(1)),
    Column("FPR", "fpr", percent(2)),
    Column("worst class", "worst_class_altered_share", percent(2)),
    Column("ASR, input", "asr_input", percent(1)),
    Column("ASR, output", "asr_output", percent(1)),
    Column("unstamped, input", "unstamped_input", percent(1)),
    Column("unstamped, output", "unstamped_output", percent(1)),
    Column("accuracy, input", "accuracy_input", percent(1)),
    Column("accuracy, output", "accuracy_output", percent(1)),
    Column("restored", "restored_count", number(0)),
    Column("error", "restored_error", number(4)),
    Column("doing nothing", "restored_error_nothing", number(4)),
    *COST,
)


def page(title: str, sets: Sequence[Measures], wanted: int) -> str:
    """Markdown: the demands, then one table per kind of set, and the machines below.

    Args:
        sets: measures of those that were measured, at least one.
        wanted: how many sets there are.
    """
    groups = {
        "Without poison": (CLEAN, [one for one in sets if not one["attacks"] and not one["noisy"]]),
        "With labels that people gave": (NOISY, [one for one in sets if not one["attacks"] and one["noisy"]]),
        "With poison": (POISONED, [one for one in sets if one["attacks"]]),
    }
    parts = [
        f"# {title}",
        f"{len(sets)} of {wanted} sets are measured. Columns: see benchmarks/README.md. Errors are mean absolute "
        "differences in 0..1, over whole images.",
        "\n".join([*(bar.line for bar in bars(sets)), harmed(sets)]),
    ]
    for heading, (columns, rows) in groups.items():
        if rows:
            parts += [f"## {heading}", _table(columns, rows)]
    machines = dict.fromkeys(f"- {machine_line(one['machine'])}; {_capability(one['machine'])}" for one in sets)
    return "\n\n".join([*parts, "## Machines", "\n".join(machines)]) + "\n"


def _table(columns: Sequence[Column], rows: Sequence[Measures]) -> str:
    lines = ["| set | " + " | ".join(column.heading for column in columns) + " |", "|---|" + "---:|" * len(columns)]
    for row in rows:
        values = row | {f"restored_{key}": value for key, value in row["restored"]["all"].items()}
        cells = (MISSING if values.get(one.key) is None else one.show(values[one.key]) for one in columns)
        lines.append(f"| {row['set']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _kinds(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count) or MISSING


def _capability(machine: dict[str, Any]) -> str:
    return f"{machine['cpu_capability']}, {machine['precision']}"
