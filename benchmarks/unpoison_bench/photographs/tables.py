"""The page that people read, made from the rows' JSON files."""

from collections.abc import Sequence

from ..results import Measures
from ..table import Column, columns_table, machines_section, number, percent
from .bars import bars

SECTIONS = {
    "Detection": (
        Column("samples", "samples", number(0)),
        Column("poisoned", "poisoned", number(0)),
        Column("AP", "average_precision", number(3)),
        Column("TPR", "tpr", percent(1)),
        Column("FPR", "fpr", percent(2)),
        Column("worst class", "worst_class_altered_share", percent(2)),
        Column("CPU, s", "cpu_seconds", number(0)),
        Column("wall, s", "wall_seconds", number(0)),
        Column("peak memory, MB", "peak_memory_mb", number(0)),
    ),
    "Repair at native size": (
        Column("restored", "restored_poisoned", number(0)),
        Column("dropped", "dropped_poisoned", number(0)),
        Column("changed pixels", "changed_pixels_share", percent(2)),
        Column("error there", "error_changed", number(4)),
        Column("doing nothing", "error_changed_nothing", number(4)),
        Column("ratio", "error_changed_ratio", number(3)),
        Column("error elsewhere", "error_elsewhere", number(5)),
        Column("doing nothing", "error_elsewhere_nothing", number(5)),
        Column("touched elsewhere", "touched_elsewhere", percent(2)),
        Column("APD", "apd", number(4)),
        Column("doing nothing", "apd_nothing", number(4)),
        Column("LRA", "lra", percent(1)),
        Column("restored by mistake", "clean_restored", number(0)),
        Column("their APD", "apd_mistaken", number(4)),
        Column("dropped by mistake", "clean_dropped", number(0)),
    ),
    "A small network trained at 128 pixels": (
        Column("ASR, input", "asr_input", percent(1)),
        Column("ASR, output", "asr_output", percent(1)),
        Column("unstamped, input", "unstamped_input", percent(1)),
        Column("unstamped, output", "unstamped_output", percent(1)),
        Column("accuracy, input", "accuracy_input", percent(1)),
        Column("accuracy, output", "accuracy_output", percent(1)),
    ),
}


def page(title: str, measured: Sequence[Measures], wanted: int) -> str:
    """Markdown: what is asked for, then the tables, and the machines below.

    Args:
        measured: measures of rows that were measured, at least one.
        wanted: how many rows there are.
    """
    parts = [
        f"# {title}",
        f"{len(measured)} of {wanted} rows are measured. Columns: see benchmarks/README.md. Errors are mean absolute "
        "differences in 0..1, at the photographs' own size.",
        "\n".join(bar.line for bar in bars(measured)),
    ]
    for heading, columns in SECTIONS.items():
        shown = [one for one in measured if any(one.get(column.key) is not None for column in columns)]
        if shown:
            parts += [f"## {heading}", columns_table("row", columns, [(one["name"], one) for one in shown])]
    return "\n\n".join([*parts, machines_section(measured)]) + "\n"
