"""Verifiers: classifiers that were trained on credible samples alone, and say what the others show."""

import copy
import dataclasses
import math
from typing import NamedTuple

from torch import Tensor

from ..context import Context
from ..training.backbones import Backbone
from ..training.fit import Recipe, fit_new, fit_on
from ..training.loop import TrainingConfig, predict_mirrored
from .choice import Choice

VERIFIER_EPOCHS = 0.8
"""Of M's: the verifier need not learn every sample by heart."""
FURTHER_EPOCHS = 0.3
"""Of M's, in which a verifier is taught further samples."""
LEAST_LOG_PROBABILITY = -20.0


class Verifier(NamedTuple):
    """A classifier, and what it was trained on."""

    model: Backbone
    learned: Tensor
    """bool [N]."""


def verify(x: Tensor, y: Tensor, credible: Tensor, num_classes: int, choice: Choice, context: Context) -> Verifier:
    """A classifier that was trained on the credible samples (bool [N]) alone."""
    context = context.seeded(context.seed + 1)
    return Verifier(fit_credible(x[credible], y[credible], num_classes, choice, VERIFIER_EPOCHS, context), credible)


def fit_credible(x: Tensor, y: Tensor, num_classes: int, choice: Choice, share: float, context: Context) -> Backbone:
    """A classifier for uint8 images [n,H,W,C] with labels int64 [n] that are credible, from scratch, for a share of M's
    epochs."""
    recipe = Recipe(choice.backbone, choice.width, _shortened(choice.training, share))
    return fit_new(x, y, num_classes, recipe, context)


def verify_again(
    verifier: Verifier, x: Tensor, y: Tensor, credible: Tensor, choice: Choice, context: Context
) -> Verifier:
    """The verifier, taught with all that is credible now; the given one stays as it is."""
    model = go_on(verifier.model, x[credible], y[credible], choice, FURTHER_EPOCHS, context.seeded(context.seed + 1))
    return Verifier(model, verifier.learned | credible)


def go_on(model: Backbone, x: Tensor, y: Tensor, choice: Choice, share: float, context: Context) -> Backbone:
    """A copy of a trained classifier that goes on with uint8 images [N,H,W,C] and labels int64 [N] for a share of M's
    epochs."""
    return fit_on(copy.deepcopy(model), x, y, _shortened(choice.training, share), context)


def _shortened(training: TrainingConfig, share: float) -> TrainingConfig:
    return dataclasses.replace(training, epochs=math.ceil(training.epochs * share))


def opinion(verifier: Verifier, x: Tensor, choice: Choice) -> Tensor:
    """What a verifier says about uint8 images [n,H,W,C]: softmax, float32 [n,K]."""
    logits = predict_mirrored(verifier.model, x, choice.training.flip)
    return softened(logits)


def softened(logits: Tensor) -> Tensor:
    """Softmax, float32 [n,K], of logits [n,K], in which nothing is impossible."""
    return logits.log_softmax(1).clamp_min(LEAST_LOG_PROBABILITY).exp()
