"""Figures of the comparisons, drawn with matplotlib, which is imported on first use."""

import base64
import io
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .comparison import Comparison, Measured, Plot

LETTERS_PER_INCH = 10
"""Of a title."""


def pr_curves(path: Path, comparison: Comparison, measured: Sequence[Measured]) -> None:
    """Precision against recall of the first seed: one panel per row, one curve per group."""
    rows = list(dict.fromkeys(entry.line.row for entry in measured))
    figure, panels = _panels(comparison, len(rows))
    for panel, row in zip(panels, rows, strict=True):
        for entry in measured:
            points = entry.first("curve")
            if entry.line.row == row and points:
                panel.plot(points["recall"], points["precision"], label=entry.line.group)
        panel.set(title=row, xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        panel.legend(fontsize="small")
    figure.savefig(path)


def loss_curves(path: Path, comparison: Comparison, measured: Sequence[Measured]) -> None:
    """Mean loss of clean and of poisoned samples of the first seed after each epoch, one panel per line."""
    figure, panels = _panels(comparison, len(measured))
    for panel, entry in zip(panels, measured, strict=True):
        for name in ("clean", "poisoned"):
            losses = entry.first(f"losses.{name}") or []
            panel.plot(range(1, len(losses) + 1), losses, label=name)
        panel.set(title=entry.line.row, xlabel="epoch", ylabel="mean loss")
        panel.legend(fontsize="small")
    figure.savefig(path)


def sheets(path: Path, comparison: Comparison, measured: Sequence[Measured]) -> None:
    """Original, poisoned and restored images of the first seed, one strip per line."""
    figure, panels = _panels(comparison, len(measured), across=1)
    for panel, entry in zip(panels, measured, strict=True):
        encoded = entry.first("sheet")
        if encoded:
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
            panel.imshow(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2))
        else:
            panel.text(0.5, 0.5, "no poisoned image was restored", ha="center", transform=panel.transAxes)
        label = f"{entry.line.row} {entry.line.group}".strip()
        panel.set(title=f"{label}: original, poisoned, restored", xticks=[], yticks=[])
    figure.savefig(path)


def against(label: str) -> Plot:
    """Draws every column against the lines' `x`, one curve per group, the mean over seeds with its spread."""

    def plot(path: Path, comparison: Comparison, measured: Sequence[Measured]) -> None:
        figure, panels = _panels(comparison, len(comparison.columns))
        groups = list(dict.fromkeys(entry.line.group for entry in measured))
        for panel, column in zip(panels, comparison.columns, strict=True):
            for group in groups:
                points = [
                    (entry.line.x, list(entry.values(column.key).values()))
                    for entry in measured
                    if entry.line.group == group and entry.values(column.key)
                ]
                spreads = [statistics.stdev(values) if len(values) > 1 else 0.0 for _, values in points]
                means = [statistics.fmean(values) for _, values in points]
                panel.errorbar([x for x, _ in points], means, spreads, marker=".", capsize=2, label=group or None)
            panel.set(xlabel=label, ylabel=column.heading)
            if any(groups):
                panel.legend(fontsize="small")
        figure.savefig(path)

    return plot


def _panels(comparison: Comparison, count: int, across: int = 3) -> tuple[Any, list[Any]]:
    """A figure with so many panels, on matplotlib's default canvas, Agg, which needs no display."""
    from matplotlib.figure import Figure

    columns = min(across, count)
    rows = -(-count // columns)
    wide = columns * (4 if across > 1 else 8)
    figure = Figure(figsize=(wide, 3.2 * rows + 0.6), layout="constrained", dpi=110)
    figure.suptitle(textwrap.fill(comparison.title, LETTERS_PER_INCH * wide))
    grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for unused in grid[count:]:
        unused.remove()
    return figure, grid[:count]
