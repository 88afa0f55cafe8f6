"""Settings of the PD detector, and the presets."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from .. import rules
from ..checks import AtLeast0, Natural, Positive, Within, checked
from ..detectors import get_detector, list_detectors
from ..errors import ConfigError
from ..features import check_features
from ..training.backbones import BACKBONES
from ..training.loop import TrainingConfig


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What the network M is, which learns the suspect data.

    Raises:
        ConfigError: a value is unknown, of another type or out of range.
    """

    backbone: str | None = None
    """Its name; None chooses by the device."""
    width: Positive | None = None
    """Channels of its first stage; None chooses by the device."""
    training: TrainingConfig | None = None
    """How it is trained; None chooses by the device, the number of samples and whether mirroring keeps the content."""

    def __post_init__(self) -> None:
        if self.backbone is not None and self.backbone not in BACKBONES:
            raise ConfigError(f"unknown backbone {self.backbone!r}: choose one of {', '.join(sorted(BACKBONES))}")

    @property
    def network(self) -> "NetworkConfig":
        """This alone, without the settings of what is done with it."""
        return NetworkConfig(backbone=self.backbone, width=self.width, training=self.training)


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig(NetworkConfig):
    """How poisoned samples are found.

    Raises:
        ConfigError: a value is unknown, of another type or out of range.
    """

    outliers: Literal["mixture", "svd"] = "mixture"
    """"mixture": two components per class, a class gate and an automatic threshold. "svd": the paper's algorithm,
    squared projection of the fused feature on the top singular vector of the class, cut by `poison_rate`."""
    loss_weight: AtLeast0 = 1.0
    """λ of E_f = E1 ‖ λ E2. Only "svd" uses it: the mixture scales both blocks by their own spread."""
    poison_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """The fraction of poison that the user expects; "svd" flags 1.5 times as many samples. Detectors are told it that
    assume to know it."""
    detectors: tuple[str, ...] = ()
    """Detectors on features, such as "scan" or one of your own (see `register_detector`), that have a say beside the
    classes' own clusters. Only "mixture" asks them: what they flag in a class is weighed like a cluster."""
    features: str | None = None
    """A source of frozen features, which say what the images show, as they came and restored: a model of timm on the
    Hub, such as "timm/resnet18.a1_in1k", or a name of your own, see `register_features`. None: classifiers learn it
    from the pixels, as M always does. The argument `features=` sets it, too."""
    cluster_evidence: float = rules.CLUSTER_EVIDENCE
    """A class counts as poisoned when a learned cluster of foreign content stands out this far: separation in
    standard deviations times `foreign_content`."""
    contradiction_evidence: float = rules.CONTRADICTION_EVIDENCE
    """The same for a part of a class that everything contradicts: the hard samples of clean classes come nearer to
    it."""
    false_alarms: Within = rules.FALSE_ALARMS
    """How often, at most, a clean dataset is to have a class whose evidence sticks out of that of its other classes:
    with what a class must exceed them. The fewer classes there are, the more is needed."""
    explained_classes: Natural = 2
    """In how many further classes a trigger is looked for in the pixels: so many with the clearest clusters, and so
    many whose clusters hold most foreign content."""
    causal_rate: Within = rules.CAUSAL_RATE
    """A trigger found in the pixels counts when stamping it turns this fraction of other images into the class."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.features is not None:
            check_features(self.features)
        for name in self.detectors:
            if name not in list_detectors():
                raise ConfigError(f"unknown detector {name!r}: choose from {', '.join(list_detectors())}")
        if self.detectors and self.outliers == "svd":
            raise ConfigError('outliers="svd" asks no detectors: leave them out, or choose outliers="mixture"')
        if self.features is not None and self.outliers == "svd":
            raise ConfigError('outliers="svd" uses no features: leave them out, or choose outliers="mixture"')

    @property
    def versions(self) -> dict[str, str]:
        """Of what the settings name and the package does not contain."""
        return {name: get_detector(name).version for name in self.detectors}


DEFAULT = DetectionConfig()

PAPER = DetectionConfig(
    outliers="svd",
    backbone="resnet18",
    width=64,
    training=TrainingConfig(
        epochs=200,
        batch_size=128,
        learning_rate=0.01,
        schedule="multistep",
        momentum=0.9,
        weight_decay=5e-4,
        flip=True,
    ),
)
"""Section 5.1.5. The paper leaves momentum, weight decay and λ open, and chooses its threshold with the true rate."""

FAST = DetectionConfig(backbone="resnet9", width=8, training=TrainingConfig(epochs=8, batch_size=64))
"""Seconds: for tests and a first look."""
