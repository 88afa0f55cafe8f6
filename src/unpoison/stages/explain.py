"""Asks the pixels about what was detected: a trigger that they share confirms classes, and shows who carries it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..context import Context
from ..data.store import ImageStore
from ..detection.config import DetectionConfig
from ..detection.detected import Detection
from ..detection.files import load_detection, load_learned
from ..explanation.explain import explain
from ..explanation.found import Found
from ..explanation.verdict import Suspicion, unexplained
from .stage import Inputs, Stage


def run(inputs: Inputs, out: Path, config: DetectionConfig, context: Context) -> None:
    """Writes a `Found`."""
    store = ImageStore.open(inputs["store"])
    learned = load_learned(inputs["learned"], store, context.device)
    detection = load_detection(inputs["detected"], learned)
    conclude(detection, store.images, store.labels, config, context).save(out)


def conclude(
    detection: Detection,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    config: DetectionConfig,
    context: Context,
) -> Found:
    """The verdict after the pixels of what was detected were heard; as published there is nothing to hear."""
    if detection.probabilities is not None:
        explanation = explain(images, labels, Suspicion.of(detection, labels), config.causal_rate, context)
    else:
        explanation = unexplained(detection.score.cpu().numpy(), detection.threshold)
    return Found(
        explanation=explanation,
        threshold=detection.threshold,
        classes=detection.classes,
        model=detection.model,
        choice=detection.choice,
        verifier=detection.taught,
        notes=detection.choice.notes,
    )


EXPLAIN = Stage(name="explain", makes="the verdict", run=run, config_class=DetectionConfig)
