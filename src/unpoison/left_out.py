"""A report on the items that could be read, as one on the whole dataset, and as one for others."""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from .report import Report, Unreadable

REASON = "unreadable"


def over_all_items(
    report: Report,
    positions: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    unreadable: Sequence[Unreadable],
) -> Report:
    """Fills in the items that were left out: dropped, not flagged, of the lowest score.

    Args:
        report: on M items; its pictures too.
        positions: int64 [M], ascending; where they are among the N items of the dataset.
        labels: int64 [N]; classes as they came, -1 where not known.
        unreadable: the N - M others, in the order of the dataset.
    """
    if not unreadable:
        return report

    def spread(values: npt.NDArray[Any], filler: Any) -> npt.NDArray[Any]:
        filler = np.asarray(filler)
        kind = np.result_type(values, filler) if values.dtype.kind == "U" else values.dtype
        out = np.full((len(labels), *values.shape[1:]), filler, kind)
        out[positions] = values
        return out

    reasons = report.reason if len(report.reason) else np.full(len(report), "")
    pictures, copies = report.pictures, report.duplicate_of
    copies = np.where(copies >= 0, positions[copies], -1)
    return dataclasses.replace(
        report,
        score=spread(report.score, report.score.min()),
        flagged=spread(report.flagged, False),
        kind=spread(report.kind, ""),
        action=spread(report.action, "drop"),
        label=spread(report.label, -1),
        original_label=labels.copy(),
        quality=spread(report.quality, 0),
        # Only suspicious samples lack votes.
        votes=spread(report.votes, True) if report.votes.size else report.votes,
        reason=spread(reasons, REASON),
        duplicate_of=spread(copies, -1) if len(copies) else copies,
        unreadable=list(unreadable),
        pictures=None if pictures is None else dataclasses.replace(pictures, index=positions[pictures.index]),
    )


def without_folder(report: Report) -> Report:
    """To hand on: the files' names without the folder that they lie in, whose path may tell who the user is."""
    files = report.files
    root = PurePath(files.folder) if files is not None and files.folder else None

    def name(file: str) -> str:
        path = PurePath(file)
        if root is not None and path.is_relative_to(root):
            return path.relative_to(root).as_posix()
        return "/".join(path.parts[-2:]) if path.is_absolute() else file

    return dataclasses.replace(
        report,
        files=None if files is None else files.without_folder(),
        unreadable=[dataclasses.replace(entry, file=name(entry.file)) for entry in report.unreadable],
    )
