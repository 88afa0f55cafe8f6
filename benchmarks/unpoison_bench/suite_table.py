"""The table of `core` and `bab`, made from the rows' JSON files."""

from collections.abc import Sequence

from .results import Measures
from .table import Column, columns_table, machine_line, number, percent

SECTIONS: dict[str, Sequence[Column]] = {
    "Detection": (
        Column("samples", "samples", number(0)),
        Column("poisoned", "poisoned", number(0)),
        Column("average precision", "average_precision", number(3)),
        Column("TPR", "tpr", percent(1)),
        Column("FPR", "fpr", percent(2)),
        Column("flagged", "flagged", number(0)),
        Column("CDR", "cdr", percent(1)),
        Column("PDR", "pdr", percent(1)),
    ),
    "Restoration of poisoned samples": (
        Column("restored", "restored_share", percent(1)),
        Column("dropped", "dropped_share", percent(1)),
        Column("error, changed pixels", "error_changed", number(4)),
        Column("doing nothing", "error_changed_nothing", number(4)),
        Column("ratio", "error_changed_ratio", number(3)),
        Column("APD", "apd", number(4)),
        Column("APD, doing nothing", "apd_nothing", number(4)),
        Column("PSNR, dB", "psnr", number(1)),
        Column("SSIM", "ssim", number(3)),
        Column("LRA", "lra", percent(1)),
        Column("LRA ceiling", "lra_ceiling", percent(1)),
        Column("LRA, relative", "lra_relative", percent(1)),
    ),
    "Clean samples": (
        Column("clean pass error", "clean_pass_error", number(5)),
        Column("restored by mistake", "clean_restored", number(0)),
        Column("dropped by mistake", "clean_dropped", number(0)),
    ),
    "A small network trained on the input and on the output": (
        Column("accuracy, input", "accuracy_input", percent(1)),
        Column("accuracy, output", "accuracy_output", percent(1)),
        Column("ASR, input", "asr_input", percent(1)),
        Column("ASR, output", "asr_output", percent(1)),
    ),
    "Cost": (
        Column("prepare, s", "prepare_seconds", number(0)),
        Column("peak memory, MB", "peak_memory_mb", number(0)),
        Column("without data, MB", "peak_memory_without_data_mb", number(0)),
        Column("before prepare, MB", "peak_memory_before_mb", number(0)),
        Column("device memory, MB", "peak_device_memory_mb", number(0)),
        Column("load at start", "load_average", number(1)),
    ),
}


def table(title: str, rows: Sequence[Measures]) -> str:
    """Markdown with one table per group of measures, one line per row, and the machines below."""
    parts = [f"# {title}", "Columns: see benchmarks/README.md. Errors are mean absolute differences in 0..1."]
    for heading, columns in SECTIONS.items():
        lines = [(row["row"], {**row, **row["machine"]}) for row in rows]
        parts += [f"## {heading}", columns_table("row", columns, lines)]
    parts += ["## Deviations and machines", "\n".join(_remarks(rows))]
    return "\n\n".join(parts) + "\n"


def _remarks(rows: Sequence[Measures]) -> list[str]:
    """List entries: each remark once, with the rows that it concerns."""
    concerned: dict[str, list[str]] = {}
    for row in rows:
        for remark in [*row["deviations"], _machine(row)]:
            concerned.setdefault(remark, []).append(row["row"])
    return [
        f"- {remark} ({'all rows' if len(names) == len(rows) else ', '.join(names)})"
        for remark, names in concerned.items()
    ]


def _machine(row: Measures) -> str:
    return f"{machine_line(row['machine'])}; seed {row['seed']}, {row['machine']['date'][:10]}"
