"""Configurations of the methods, and their presets."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import Field

from . import restoration
from .checks import checked
from .detection import config as detection
from .detection.config import DetectionConfig, NetworkConfig
from .errors import ConfigError
from .features import AnyFeatures, register_given
from .restoration import RestorationConfig
from .verification import config as verification
from .verification.config import VerificationConfig

T = TypeVar("T")


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class PDAutoRConfig:
    """Settings of method "pdautor"."""

    detection: DetectionConfig = detection.DEFAULT
    """PD detector, section 3.1."""
    restoration: RestorationConfig = restoration.DEFAULT
    """Content restorator, quality checker and label restorer, sections 3.2 and 3.3."""

    @classmethod
    def preset(cls, name: str) -> Self:
        """Returns a preset.

        Args:
            name: "paper" (the published settings), "default" (the best measured; chooses its size by the data and
                the device) or "fast" (seconds: for tests and a first look).

        Raises:
            ConfigError: the name is unknown.
        """
        detector = _chosen(name, default=detection.DEFAULT, paper=detection.PAPER, fast=detection.FAST)
        return cls(detection=detector, restoration=_restoration(name))


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class BaBConfig:
    """Settings of method "bab"."""

    verification: VerificationConfig = verification.DEFAULT
    """Our own backdoor, the verification models and the decision, sections 4.1 to 4.3."""
    restoration: RestorationConfig = restoration.DEFAULT
    """As for "pdautor"; only with `on_poison="restore"`."""

    @classmethod
    def preset(cls, name: str) -> Self:
        """Returns a preset, as `PDAutoRConfig.preset` does; "paper" is the setting for CIFAR-10."""
        verifier = _chosen(name, default=verification.DEFAULT, paper=verification.PAPER, fast=verification.FAST)
        return cls(verification=verifier, restoration=_restoration(name))


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """Settings of method "ensemble"."""

    pdautor: PDAutoRConfig = PDAutoRConfig()
    """Also says how flagged samples are restored."""
    bab: BaBConfig = BaBConfig()
    """Its `restoration` is not used."""

    @property
    def restoration(self) -> RestorationConfig:
        """Of `pdautor`."""
        return self.pdautor.restoration

    @classmethod
    def preset(cls, name: str) -> Self:
        """Returns the preset of that name of both methods."""
        return cls(pdautor=PDAutoRConfig.preset(name), bab=BaBConfig.preset(name))


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorConfig(NetworkConfig):
    """Settings of a detector on features as a method: "scan" and so on, see `unpoison.detectors`.

    The features are the network's penultimate activations.
    """

    poison_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """The share of poison that detectors are told which assume to know it; they flag in proportion to it."""
    restoration: RestorationConfig = restoration.DEFAULT
    """As for "pdautor"; only with `on_poison="restore"`."""

    @classmethod
    def preset(cls, name: str) -> Self:
        """Returns a preset, as `PDAutoRConfig.preset` does."""
        network = _chosen(name, default=detection.DEFAULT, paper=detection.PAPER, fast=detection.FAST)
        return cls(
            backbone=network.backbone,
            width=network.width,
            training=network.training,
            restoration=_restoration(name),
        )


if TYPE_CHECKING:
    AnyConfig = str | PDAutoRConfig | BaBConfig | EnsembleConfig | DetectorConfig
    """A preset's name, or the configuration of a method."""
    MethodName = str
else:  # they are looked up by what they are called with, which tells what there is to choose
    AnyConfig = MethodName = Any


def detection_of(config: Any) -> DetectionConfig | None:
    """How a method's configuration says that PD-AutoR detects; None where the method is another."""
    if isinstance(config, EnsembleConfig):
        config = config.pdautor
    return config.detection if isinstance(config, PDAutoRConfig) else None


def with_features(config: Any, features: AnyFeatures) -> Any:
    """A method's configuration that names these features, unless they are an array.

    Raises:
        ConfigError: the method uses none, or the configuration names others.
    """
    if isinstance(config, EnsembleConfig):
        return dataclasses.replace(config, pdautor=with_features(config.pdautor, features))
    if not isinstance(config, PDAutoRConfig) or config.detection.outliers == "svd":
        raise ConfigError("features= is for pdautor and ensemble with a preset other than paper: leave it out")
    if config.detection.features is not None:
        raise ConfigError("features= and detection.features are one setting: leave one of them out")
    detection = dataclasses.replace(config.detection, features=register_given(features))
    return dataclasses.replace(config, detection=detection)


def _restoration(name: str) -> RestorationConfig:
    return _chosen(name, default=restoration.DEFAULT, paper=restoration.PAPER, fast=restoration.FAST)


def _chosen(name: str, **presets: T) -> T:
    if not isinstance(name, str) or name not in presets:
        raise ConfigError(f"unknown preset {name!r}: choose one of {', '.join(presets)}")
    return presets[name]
