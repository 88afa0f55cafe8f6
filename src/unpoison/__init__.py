"""Clean data for existing training scripts: detect poisoned images, restore them, serve the cleaned set."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import BaBConfig as BaBConfig
    from .config import DetectorConfig as DetectorConfig
    from .config import EnsembleConfig as EnsembleConfig
    from .config import PDAutoRConfig as PDAutoRConfig
    from .dataset import SanitizedDataset as SanitizedDataset
    from .detectors import Detector as Detector
    from .detectors import Verdict as Verdict
    from .detectors import register_detector as register_detector
    from .features import FeatureSource as FeatureSource
    from .features import register_features as register_features
    from .improvement import compare as compare
    from .report import Report as Report
    from .restoration import Restorer as Restorer
    from .sanitizer import Sanitizer as Sanitizer
    from .tables import sanitize as sanitize
    from .triggers import Trigger as Trigger
    from .triggers import register_trigger as register_trigger

__version__ = "0.1.0.dev0"

# Who wants the log configures it, as the command line does with --verbose.
logging.getLogger(__name__).addHandler(logging.NullHandler())

# Resolved on first use: importing the package stays as cheap as importing torch.
_HOMES = {
    "BaBConfig": "config",
    "Detector": "detectors",
    "DetectorConfig": "config",
    "EnsembleConfig": "config",
    "FeatureSource": "features",
    "PDAutoRConfig": "config",
    "Report": "report",
    "Restorer": "restoration",
    "SanitizedDataset": "dataset",
    "Verdict": "detectors",
    "register_detector": "detectors",
    "register_features": "features",
    "Sanitizer": "sanitizer",
    "Trigger": "triggers",
    "register_trigger": "triggers",
    "sanitize": "tables",
    "compare": "improvement",
}
__all__ = [
    "BaBConfig",
    "Detector",
    "DetectorConfig",
    "EnsembleConfig",
    "FeatureSource",
    "PDAutoRConfig",
    "Report",
    "Restorer",
    "SanitizedDataset",
    "Sanitizer",
    "Trigger",
    "Verdict",
    "__version__",
    "compare",
    "register_detector",
    "register_features",
    "register_trigger",
    "sanitize",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
