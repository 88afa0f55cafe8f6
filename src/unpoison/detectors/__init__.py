"""Detectors on features, one file per paper, and their registry: those here, registered ones, and other packages'."""

from importlib import import_module
from importlib.metadata import entry_points

from ..errors import ConfigError
from ..plugins import offered
from .base import Detector as Detector
from .base import Verdict as Verdict

ENTRY_POINTS = "unpoison.detectors"
"""The group in which other packages name a `Detector` of theirs, under its name."""
BUILT_IN = ("activation_clustering", "post_training", "scan", "spectral", "spectre")
_REGISTERED: dict[str, Detector] = {}


def register_detector(detector: Detector) -> None:
    """Makes a detector available as a method under its name; one that was registered before is replaced.

    Raises:
        ConfigError: it is no `Detector`, or has the name of one that comes with the package.
    """
    if not isinstance(detector, Detector):
        raise ConfigError(f"register_detector takes a Detector, got {type(detector).__name__}")
    if detector.name in BUILT_IN:
        raise ConfigError(f"{detector.name!r} is a detector of the package: choose another name")
    _REGISTERED[detector.name] = detector


def list_detectors() -> list[str]:
    """The names of all detectors; those of other packages are not loaded for it."""
    return sorted({*BUILT_IN, *_REGISTERED, *entry_points(group=ENTRY_POINTS).names})


def get_detector(name: str) -> Detector:
    """Looks a detector up.

    Raises:
        ConfigError: no detector has this name, or that of another package cannot be loaded.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in BUILT_IN:
        detector: Detector = import_module(f".{name}", __name__).DETECTOR
        return detector
    if (found := offered(ENTRY_POINTS, name, Detector)) is not None:
        return found
    raise ConfigError(f"unknown detector {name!r}: choose one of {', '.join(list_detectors())}")
