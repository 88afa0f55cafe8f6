"""What a detector suspects, and what is left of it after the pixels were heard."""

import dataclasses
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..detection.choice import Choice
from ..detection.detected import Detection
from ..detection.doubt import log_odds_against
from ..detection.verifier import Verifier
from ..training.backbones import Backbone
from ..triggers import Trigger


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """A group of flagged samples that one trigger explains, or that none does."""

    classes: list[int]
    members: npt.NDArray[np.bool_]
    """bool [N]; the flagged samples of these classes."""
    trigger: Trigger | None

    @property
    def place(self) -> str:
        """Its classes, for the report."""
        return f"class {', '.join(map(str, self.classes))}" if self.classes else "all classes"

    def describe(self) -> str:
        """A line for the report."""
        if self.trigger is None:
            return f"{self.place}: no simple trigger explains the flagged images"
        return f"{self.place}: the flagged images share a trigger of kind {self.trigger.kind}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """The detector's verdict after the pixels were heard."""

    score: npt.NDArray[np.float32]
    """float32 [N]; above 0 = flagged."""
    kind: npt.NDArray[np.str_]
    findings: list[Finding]


def unexplained(score: npt.NDArray[np.float32], threshold: float = 0.0) -> Explanation:
    """A verdict whose pixels nobody asks: float32 [N], flagged above the threshold."""
    flags = score > threshold
    found = [Finding(classes=[], members=flags, trigger=None)] if flags.any() else []
    return Explanation(score=score, kind=np.full(len(score), "backdoor"), findings=found)


class Suspicion(NamedTuple):
    """A detector's verdict on N samples."""

    score: npt.NDArray[np.float32]
    """float32 [N], log-odds of being poisoned; above 0 = flagged."""
    kind: npt.NDArray[np.str_]
    """str [N], see `Report.kind`."""
    gated: list[int]
    """The poisoned classes."""
    suspects: dict[int, npt.NDArray[np.bool_]]
    """Per further class whose pixels are worth a look: bool [N], the suspicious part."""
    probabilities: npt.NDArray[np.float32]
    """float32 [N,K], softmax of classifiers that have not learned the poison."""
    content: npt.NDArray[np.float32]
    """float32 [N], log-odds that the content is not of the labelled class; 0 where nobody knows."""
    doubt: npt.NDArray[np.float32] | None
    """float32 [N], how little each label is believed; None where nobody has watched."""
    activations: Tensor | None
    """float32 [N,D], of `model`, whitened within the classes; None where nobody has watched."""
    model: Backbone
    """Trained on everything: it obeys the trigger."""
    verifier: Verifier
    """Trained without the suspects."""
    choice: Choice
    """How such classifiers are trained."""

    @classmethod
    def of(cls, detection: Detection, labels: npt.NDArray[np.int64]) -> Self:
        """The verdict of the mixture detector on samples of these labels, int64 [N]."""
        assert detection.probabilities is not None
        assert detection.verifier is not None
        assert detection.doubt is not None
        probabilities = detection.probabilities.cpu()
        return cls(
            score=detection.score.cpu().numpy(),
            kind=detection.kind,
            gated=[entry.label for entry in detection.classes if entry.poisoned],
            suspects={label: inside.cpu().numpy() for label, inside in detection.suspects.items()},
            probabilities=probabilities.numpy(),
            content=against_labels(probabilities, labels),
            doubt=detection.doubt.cpu().numpy(),
            activations=detection.activations,
            model=detection.model,
            verifier=detection.verifier,
            choice=detection.choice,
        )


def against_labels(probabilities: Tensor, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Log-odds, float32 [N], that samples do not belong to their classes int64 [N], by softmax float32 [N,K]."""
    own = probabilities.gather(1, torch.from_numpy(labels)[:, None])[:, 0]
    odds: npt.NDArray[np.float32] = log_odds_against(own).numpy()
    return odds
