"""Asks a detector on features, which may be another package's, about the activations of M."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy

from ..context import Context
from ..data.store import ImageStore
from ..detection.files import load_learned
from ..detectors import get_detector
from ..detectors.base import Verdict
from ..explanation.found import Found
from ..explanation.verdict import unexplained
from ..report import ClassEvidence
from .stage import Inputs, Stage


@dataclasses.dataclass(frozen=True)
class Question:
    """Who is asked."""

    detector: str
    poison_rate: float
    """What detectors are told which assume to know it."""


def run(inputs: Inputs, out: Path, config: Question, context: Context) -> None:
    """Writes a `Found`; nothing explains what these detectors flag."""
    store, detector = ImageStore.open(inputs["store"]), get_detector(config.detector)
    learned = load_learned(inputs["learned"], store, context.device)
    labels = store.labels
    with context.stage("detect"):
        verdict = detector.verdict(learned.record.activations.cpu().numpy(), labels, config.poison_rate)
    score = ordered(verdict)
    told = f"told a rate of {config.poison_rate:g}" if detector.told else "told no rate"
    Found(
        explanation=unexplained(score),
        classes=[
            ClassEvidence(
                label=label,
                size=int((labels == label).sum()),
                evidence=float(score[labels == label].max()),
                poisoned=bool(verdict.flagged[labels == label].any()),
            )
            for label in range(store.num_classes)
        ],
        model=learned.model,
        choice=learned.choice,
        notes=[*learned.choice.notes, f"detector: {detector.name} ({detector.source}), {told}"],
    ).save(out)


def ordered(verdict: Verdict) -> npt.NDArray[np.float32]:
    """The order of the scores, float32 [N] in -1..1: above 0 is what the detector flags, by whatever rule."""
    rank = scipy.stats.rankdata(verdict.score) / len(verdict.score)
    score: npt.NDArray[np.float32] = np.where(verdict.flagged, rank, rank - 1).astype(np.float32)
    return score


ASK = Stage(
    name="ask",
    makes="the verdict of a detector on features",
    run=run,
    config_class=Question,
    versions=lambda question: {question.detector: get_detector(question.detector).version},
)
