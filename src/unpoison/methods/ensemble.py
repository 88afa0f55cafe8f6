"""Both papers' evidence in one verdict, for users who prefer safety to time."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import EnsembleConfig
from ..restoration import Estimate
from . import bab, pdautor
from .base import MethodInfo, register
from .cleaning import Found, cleaning
from .explain import Explanation, Finding

AGREEMENT = 0.3
"""Weight of the less suspicious score: what both methods flag comes before what one of them does."""
JUST_FLAGGED = 0.01


def find(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: EnsembleConfig,
    **common: Any,
) -> Found:
    """What either method flags. See `unpoison.methods.cleaning.Find`."""
    first = pdautor.find(images, labels, num_classes, config.pdautor, **common)
    second = bab.find(images, labels, num_classes, config.bab, **common)
    scores = first.explanation.score - first.threshold, second.explanation.score - second.threshold
    score = fuse(*scores)
    flagged = score > 0
    return Found(
        explanation=Explanation(
            score=score,
            kind=np.where(first.flagged, first.explanation.kind, second.explanation.kind),
            findings=_findings(labels, flagged, first.explanation.findings + second.explanation.findings),
        ),
        classes=[
            dataclasses.replace(
                one, poisoned=one.poisoned or other.poisoned, details={**one.details, "bab": other.evidence}
            )
            for one, other in zip(first.classes, second.classes, strict=True)
        ],
        model=first.model,
        choice=first.choice,
        votes=second.votes,
        notes=[f"pdautor: {note}" for note in first.notes] + [f"bab: {note}" for note in second.notes],
    )


def fuse(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 [N] above 0 where either score [N] is, and higher where both are."""
    higher = np.maximum(first, second)
    fused = higher + AGREEMENT * np.minimum(first, second)
    return np.where(higher > 0, np.maximum(fused, JUST_FLAGGED), np.minimum(fused, 0)).astype(np.float32)


def _findings(labels: npt.NDArray[np.int64], flagged: npt.NDArray[np.bool_], found: list[Finding]) -> list[Finding]:
    """One finding per trigger, with the flagged samples of its classes; the first trigger found in a class counts."""
    estimates: dict[int, Estimate | None] = dict.fromkeys(np.unique(labels[flagged]).tolist())
    for label in estimates:
        explained = [finding.estimate for finding in found if label in finding.classes and finding.estimate is not None]
        estimates[label] = explained[0] if explained else None
    groups: dict[int, list[int]] = {}
    for label, estimate in estimates.items():
        groups.setdefault(id(estimate), []).append(label)
    return [
        Finding(classes=classes, members=flagged & np.isin(labels, classes), estimate=estimates[classes[0]])
        for classes in groups.values()
    ]


run = cleaning("ensemble", find)

register(
    MethodInfo(
        name="ensemble",
        run=run,
        preset=EnsembleConfig.preset,
        config_class=EnsembleConfig,
        on_poison="restore",
        source="PD-AutoR and BaB together",
    )
)
