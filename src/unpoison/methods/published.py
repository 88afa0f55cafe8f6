"""Detectors on features as methods: a network is trained on the suspect data, and its activations are judged.

Nothing explains what they flag, so it is dropped unless asked otherwise.
"""

import numpy as np
import numpy.typing as npt
import scipy

from ..config import DetectorConfig
from ..context import Context
from ..detection.detector import learn
from ..detectors.base import Detector, Features, Labels, Verdict
from ..errors import ConfigError
from ..explanation.found import Found
from ..explanation.verdict import unexplained
from ..report import ClassEvidence
from .base import Find, MethodInfo
from .cleaning import cleaning, finishing


def method_of(detector: Detector) -> MethodInfo:
    """The method that asks a detector."""
    find, finish = _finding(detector), finishing(detector.name)
    return MethodInfo(
        name=detector.name,
        run=cleaning(find, finish),
        find=find,
        finish=finish,
        searching=lambda config: (config.network, config.poison_rate),
        preset=DetectorConfig.preset,
        config_class=DetectorConfig,
        on_poison="drop",
        source=detector.source,
        version=detector.version,
    )


def _finding(detector: Detector) -> Find:
    def find(
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        config: DetectorConfig,
        context: Context,
    ) -> Found:
        """See `unpoison.methods.base.Find`."""
        learned = learn(images, labels, num_classes, config.network, context)
        with context.stage("detect"):
            verdict = _asked(detector, learned.record.activations.cpu().numpy(), labels, config.poison_rate)
        score = ordered(verdict)
        told = f"told a rate of {config.poison_rate:g}" if detector.told else "told no rate"
        return Found(
            explanation=unexplained(score),
            classes=[
                ClassEvidence(
                    label=label,
                    size=int((labels == label).sum()),
                    evidence=float(score[labels == label].max()),
                    poisoned=bool(verdict.flagged[labels == label].any()),
                )
                for label in range(num_classes)
            ],
            model=learned.model,
            choice=learned.choice,
            notes=[*learned.choice.notes, f"detector: {detector.name} ({detector.source}), {told}"],
        )

    return find


def _asked(detector: Detector, features: Features, labels: Labels, rate: float) -> Verdict:
    """The verdict of a detector, which may be another package's.

    Raises:
        ConfigError: it is none.
    """
    verdict = detector.detect(features, labels, rate)
    wanted = {"score": (np.floating, labels.shape), "flagged": (np.bool_, labels.shape)}
    for name, (kind, shape) in wanted.items():
        array = np.asarray(getattr(verdict, name, None))
        if not np.issubdtype(array.dtype, kind) or array.shape != shape or not np.isfinite(array).all():
            raise ConfigError(
                f"detector {detector.name!r} must return a Verdict with a finite score, float32 [{len(labels)}], and "
                f"flagged, bool [{len(labels)}]; its {name} is {array.dtype} {list(array.shape)}"
            )
    return verdict


def ordered(verdict: Verdict) -> npt.NDArray[np.float32]:
    """The order of the scores, float32 [N] in -1..1: above 0 is what the detector flags, by whatever rule."""
    rank = scipy.stats.rankdata(verdict.score) / len(verdict.score)
    score: npt.NDArray[np.float32] = np.where(verdict.flagged, rank, rank - 1).astype(np.float32)
    return score
