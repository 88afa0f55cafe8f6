"""What happened to the samples of a set that nothing is wrong with, to wrong labels, and to the poison."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unpoison import metrics
from unpoison.report import Report

from .measure import detection

KINDS = ("backdoor", "mislabelled")


def harm(report: Report, poisoned: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """What happened to the clean samples: those without poison, bool [N], whose label is not wrong, bool [N]."""
    clean = ~poisoned & ~wrong
    altered = report.action != "keep"
    labels = report.original_label
    shares = {int(label): float(altered[clean & (labels == label)].mean()) for label in np.unique(labels[clean])}
    worst = max(shares, key=lambda label: shares[label])
    return {
        "clean": clean.sum(),
        "clean_flagged": (report.flagged & clean).sum(),
        "clean_flagged_share": metrics.share(report.flagged, clean),
        "clean_altered": (altered & clean).sum(),
        "clean_kinds": {kind: (clean & report.flagged & (report.kind == kind)).sum() for kind in KINDS},
        "worst_class": worst,
        "worst_class_altered_share": shares[worst],
        "poisoned_classes": [entry.label for entry in report.classes if entry.poisoned],
    }


def noise(report: Report, poisoned: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """How much of what is flagged, apart from poison, has a wrong label; and what of it is called a backdoor."""
    others = report.flagged & ~poisoned
    return {
        "wrong": wrong.sum(),
        "wrong_flagged": (others & wrong).sum(),
        "flagged_wrong_share": metrics.share(wrong, others),
        "called_backdoor": (others & (report.kind == "backdoor")).sum(),
    }


def found(report: Report, poisoned: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """How well the poison is found; samples with wrong labels count for no false alarms."""
    names = ("average_precision", "tpr", "restored_share", "dropped_share")
    measures = detection(report, poisoned)
    return {name: measures[name] for name in names} | {"fpr": metrics.share(report.flagged, ~poisoned & ~wrong)}
