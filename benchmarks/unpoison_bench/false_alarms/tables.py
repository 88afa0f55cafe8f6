"""The page that people read, made from the sets' JSON files."""

from collections.abc import Sequence

from ..results import Measures
from ..table import MISSING, Column, columns_table, machines_section, number, percent
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
            lines = [(one["set"], one | _restored(one)) for one in rows]
            parts += [f"## {heading}", columns_table("set", columns, lines)]
    return "\n\n".join([*parts, machines_section(sets)]) + "\n"


def _restored(measures: Measures) -> Measures:
    """What was measured of all restored poisoned samples, by the columns' keys."""
    return {f"restored_{key}": value for key, value in measures["restored"]["all"].items()}


def _kinds(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count) or MISSING
