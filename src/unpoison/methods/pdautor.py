"""PD-AutoR (Chen et al.): detect by fused features, restore with a learned restorer, check, relabel.

The steps stand in the paper's order: 3.1 PD detector; 3.2 content restorator training and 3.3 PD restorator follow in
`repair.py`, since every method's finds can be restored. Between them the default preset explains the poison from its
pixels and repairs the flags with that explanation.
"""

import numpy as np
import numpy.typing as npt

from ..config import PDAutoRConfig
from ..context import Context
from ..detection.detector import Detection, detect
from ..explanation.explain import explain
from ..explanation.found import Found
from ..explanation.verdict import Suspicion, unexplained
from .base import MethodInfo
from .cleaning import cleaning, finishing
from .registry import register


def find(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: PDAutoRConfig,
    context: Context,
) -> Found:
    """Section 3.1: divides D into D_p, the flagged samples, and D_c. See `unpoison.methods.base.Find`."""
    return conclude(detect(images, labels, num_classes, config.detection, context), images, labels, config, context)


def conclude(
    detection: Detection,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    config: PDAutoRConfig,
    context: Context,
) -> Found:
    """The verdict after the pixels of what was detected were heard; as published there is nothing to hear."""
    if detection.probabilities is not None:
        rate = config.detection.causal_rate
        explanation = explain(images, labels, Suspicion.of(detection, labels), rate, context)
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


finish = finishing("pdautor")
run = cleaning(find, finish)

register(
    MethodInfo(
        name="pdautor",
        run=run,
        find=find,
        finish=finish,
        searching=lambda config: config.detection,
        preset=PDAutoRConfig.preset,
        config_class=PDAutoRConfig,
        on_poison="restore",
        source="Chen et al., PD-AutoR: Towards Automatic Restoration of Poisoned Examples in Machine Learning",
    )
)
