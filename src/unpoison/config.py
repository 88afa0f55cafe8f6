"""Configurations of the methods, and their presets."""

import dataclasses

from . import restoration
from .detection.config import DEFAULT, FAST, PAPER, DetectionConfig
from .errors import ConfigError
from .restoration import RestorationConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class PDAutoRConfig:
    """Settings of method "pdautor"."""

    detection: DetectionConfig = DEFAULT
    """PD detector, section 3.1."""
    restoration: RestorationConfig = restoration.DEFAULT
    """Content restorator, quality checker and label restorer, sections 3.2 and 3.3."""

    @classmethod
    def preset(cls, name: str) -> "PDAutoRConfig":
        """Returns a preset.

        Args:
            name: "paper" (the published settings), "default" (the best measured; chooses its size by the data and
                the device) or "fast" (seconds: for tests and a first look).

        Raises:
            ConfigError: the name is unknown.
        """
        if name not in _PRESETS:
            raise ConfigError(f"unknown preset {name!r}: choose one of {', '.join(_PRESETS)}")
        return _PRESETS[name]


_PRESETS = {
    "default": PDAutoRConfig(),
    "paper": PDAutoRConfig(detection=PAPER, restoration=restoration.PAPER),
    "fast": PDAutoRConfig(detection=FAST, restoration=restoration.FAST),
}
