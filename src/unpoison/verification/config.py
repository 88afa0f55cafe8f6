"""Settings of BaB's verification, and the presets."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from .. import rules
from ..checks import Above0, AtLeast0, Natural, Positive, Share, Within, checked
from ..errors import ConfigError
from ..training.backbones import BACKBONES
from ..training.loop import TrainingConfig

TRAINING = TrainingConfig(epochs=16)


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class VerificationConfig:
    """How our own backdoor is implanted, and what is concluded from the answers to it.

    Raises:
        ConfigError: a value is unknown, of another type or out of range.
    """

    decision: Literal["mixture", "unanimous"] = "mixture"
    """"unanimous": the paper's rule, a sample is clean when all models answer n. "mixture": models vote by their
    margins, two components per class and a class gate decide."""
    models: Positive = 5
    """N, verification models whose answers count (published 10 for CIFAR-10, 5 for GTSRB)."""
    scouts: Natural = 2
    """Models before them, whose answers choose the cleaner half of each class, from which the others' implants are
    drawn: poisoned implants teach a model that our trigger wins. The paper has none."""
    subset: Share = 0.75
    """R, part of the data that each model trains on. Published 0.5; at low rates of poison half of it is too little to
    learn the attacker's backdoor from, which must be there to resist."""
    implants: Within = 0.1
    """Part of a model's training data that carries our trigger, drawn evenly from all classes: the attacker's target
    may be by far the largest."""
    alpha: AtLeast0 = 0.0
    """α of eq. 1. Published 0.2 for CIFAR-10, 0.3 for GTSRB; a lower `weight` weakens our backdoor as well and is
    easier to steer."""
    weight: Above0 = 0.35
    """Of the implants' loss; the paper has none, which is 1. Where `success` is set, only the first model's."""
    success: Annotated[float, Field(ge=0.5, lt=1)] | None = 0.93
    """Success rate of our backdoor that the models' weights are steered to: as weak as possible, yet reliably
    triggered. None steers nothing."""
    trigger_size: Positive | None = None
    """Side of our square trigger in pixels; None takes 5 for each 32 of the image's shorter side."""
    backbone: str = "conv5"
    """Name of the verification models' network."""
    width: Positive = 32
    """Channels of the network's first stage."""
    training: TrainingConfig = TRAINING
    """How each of them is trained."""
    evidence: float = rules.RESISTING_EVIDENCE
    """A class counts as poisoned when the samples that resist our trigger stand out this far, in standard
    deviations."""
    explained_classes: Natural = 2
    """In how many further classes a trigger is looked for in the pixels: those with the clearest minorities."""
    causal_rate: Within = rules.CAUSAL_RATE
    """A trigger found there counts when stamping it turns this fraction of other images into the class."""

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ConfigError(f"unknown backbone {self.backbone!r}: choose one of {', '.join(sorted(BACKBONES))}")


DEFAULT = VerificationConfig()

PAPER = VerificationConfig(
    decision="unanimous",
    models=10,
    scouts=0,
    subset=0.5,
    alpha=0.2,
    weight=1.0,
    success=None,
    training=TrainingConfig(
        epochs=5, optimizer="adam", learning_rate=0.01, schedule="constant", momentum=0.0, weight_decay=0.0
    ),
)
"""Section 5.1 for CIFAR-10; for GTSRB N is 5 and α 0.3. The paper leaves network, trigger and batch size open."""

FAST = VerificationConfig(models=4, subset=0.5, width=16, training=TrainingConfig(epochs=20, batch_size=32))
"""Seconds: for tests and a first look."""
