"""Published defences to compare with: all detectors, ART's Spectral Signatures, and one that heals a model (`nad`)."""

from unpoison.detectors import BUILT_IN, get_detector
from unpoison.detectors.base import Detector

from .art import DETECTOR

BASELINES: dict[str, Detector] = {
    **{name: get_detector(name) for name in BUILT_IN},
    DETECTOR.name: DETECTOR,
}
"""Detectors by name."""
TOLD = tuple(name for name, detector in BASELINES.items() if detector.told)
"""Those that are told the true rate of poison."""
