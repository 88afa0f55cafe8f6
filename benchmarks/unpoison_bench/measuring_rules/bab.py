"""What the numbers of BaB's verification are compared with: the answers of models with a backdoor of our own."""

import numpy as np
import torch

from unpoison.context import Context
from unpoison.stages.verify import ask_models
from unpoison.verification.config import DEFAULT, VerificationConfig
from unpoison.verification.decision import by_mixture

from .observing import Observations, Side
from .sets import Data


def observe(data: Data, context: Context, config: VerificationConfig = DEFAULT) -> Observations:
    """Of any set whose classes all have images."""
    seen = Observations()
    y = torch.from_numpy(data.labels).to(context.device)
    _, verdicts = ask_models(data.images, data.labels, data.classes, config, context)
    seen.add("LEAST_SUCCESS", "poison", max(verdict.success(y) for verdict in verdicts))
    decision = by_mixture(verdicts, y, data.classes, config.evidence, config.explained_classes)
    usual = float(np.quantile([entry.evidence for entry in decision.classes], 0.75))
    for entry in decision.classes:
        if entry.details["resistance"] <= 0:
            continue
        side: Side = "poison" if data.poisoned[data.labels == entry.label].any() else "clean"
        seen.add("RESISTING_EVIDENCE", side, entry.evidence)
        seen.add("RESISTING_MORE", side, entry.evidence / usual)
    return seen
