"""PD-AutoR 3.3.2: trains the classifier C on what is not flagged, which names the classes of restored images."""

import dataclasses
from pathlib import Path

from ..context import Context
from ..data.store import ImageStore
from ..explanation.found import Found
from ..restoration.classifier import Classifier
from .features import FEATURES, load
from .stage import Inputs, Stage


@dataclasses.dataclass(frozen=True)
class Clean:
    """What counts as clean."""

    spared: tuple[int, ...] = ()
    """Positions of flagged samples that are not poison after all."""


def run(inputs: Inputs, out: Path, config: Clean, context: Context) -> None:
    """Writes a `Classifier`."""
    store, found = ImageStore.open(inputs["store"]), Found.load(inputs["found"], context.device)
    flagged = found.flagged
    flagged[list(config.spared)] = False
    features = load(inputs[FEATURES], context.device) if FEATURES in inputs else None
    Classifier.trained(store.images, store.labels, store.num_classes, flagged, found, context, features).save(out)


CLASSIFY = Stage(name="classify", makes="the classifier of the clean part", run=run, config_class=Clean)
