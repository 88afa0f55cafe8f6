"""PD-AutoR 3.1, components 4 and 5: finds outliers among the features of M."""

from pathlib import Path

from ..context import Context
from ..data.store import ImageStore
from ..detection.config import DetectionConfig
from ..detection.detector import judge
from ..detection.files import load_learned, save_detection
from .features import FEATURES, load
from .stage import Inputs, Stage


def run(inputs: Inputs, out: Path, config: DetectionConfig, context: Context) -> None:
    """Writes what `detection.files.load_detection` reads."""
    store = ImageStore.open(inputs["store"])
    features = load(inputs[FEATURES], context.device) if FEATURES in inputs else None
    learned = load_learned(inputs["learned"], store, context.device, features)
    save_detection(judge(learned, store.num_classes, config, context), out)


DETECT = Stage(
    name="detect",
    makes="what was detected",
    run=run,
    config_class=DetectionConfig,
    versions=lambda config: config.versions,
)
