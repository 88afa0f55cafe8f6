"""Both papers' verdicts in one."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..context import Context
from ..data.store import ImageStore
from ..explanation.found import Found
from ..explanation.verdict import Explanation, Finding
from ..report import ClassEvidence
from .stage import Inputs, Stage

AGREEMENT = 0.3
"""Weight of the less suspicious score: what both methods flag comes before what one of them does."""
JUST_FLAGGED = 0.01


def run(inputs: Inputs, out: Path, config: None, context: Context) -> None:
    """Writes a `Found`."""
    first, second = (Found.load(inputs[name], context.device) for name in ("pdautor", "bab"))
    combine(first, second, ImageStore.open(inputs["store"]).labels).save(out)


def combine(first: Found, second: Found, labels: npt.NDArray[np.int64]) -> Found:
    """What either of PD-AutoR's verdict and BaB's flags among samples of these labels, int64 [N]."""
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
                one,
                poisoned=one.poisoned or other.poisoned,
                details={**one.details, **_named(other)},
            )
            for one, other in zip(first.classes, second.classes, strict=True)
        ],
        model=first.model,
        choice=first.choice,
        verifier=first.verifier,
        votes=second.votes,
        notes=[f"pdautor: {note}" for note in first.notes] + [f"bab: {note}" for note in second.notes],
    )


def _named(evidence: ClassEvidence) -> dict[str, float]:
    """BaB's evidence as details of PD-AutoR's."""
    needed = {"bab needed": evidence.details["needed"]} if "needed" in evidence.details else {}
    return {"bab": evidence.evidence, **needed}


def fuse(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 [N] above 0 where either score [N] is, and higher where both are."""
    higher = np.maximum(first, second)
    fused = higher + AGREEMENT * np.minimum(first, second)
    return np.where(higher > 0, np.maximum(fused, JUST_FLAGGED), np.minimum(fused, 0)).astype(np.float32)


def _findings(labels: npt.NDArray[np.int64], flagged: npt.NDArray[np.bool_], found: list[Finding]) -> list[Finding]:
    """One finding per trigger: those that show it, and what else is flagged in its classes; the first found counts."""
    explained = [finding for finding in found if finding.trigger is not None]
    shown = np.any([finding.members for finding in explained], 0) if explained else np.zeros_like(flagged)
    findings, left = [], flagged.copy()
    for finding in explained:
        members = left & np.isin(labels, finding.classes) & (finding.members | ~shown)
        left &= ~members
        if members.any():
            findings.append(dataclasses.replace(finding, classes=np.unique(labels[members]).tolist(), members=members))
    if left.any():
        findings.append(Finding(classes=np.unique(labels[left]).tolist(), members=left, trigger=None))
    return findings


COMBINE = Stage(name="combine", makes="the verdict of both methods", run=run, config_class=type(None))
