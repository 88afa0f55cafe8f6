"""Networks from scratch, and networks that go on: made from a seed, and trained to the end."""

import dataclasses

import torch
from torch import Tensor

from ..context import Context
from .backbones import Backbone, create_backbone
from .loop import Loss, TrainingConfig, mean_cross_entropy, train


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a network is and how it is trained."""

    backbone: str
    """See `create_backbone`, as for `width`."""
    width: int
    training: TrainingConfig


def new_network(recipe: Recipe, channels: int, num_classes: int, seed: int) -> Backbone:
    """An untrained backbone for images of C channels and K classes, whose weights the seed decides."""
    torch.manual_seed(seed)
    return create_backbone(recipe.backbone, channels, num_classes, recipe.width)


def fit_new(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    recipe: Recipe,
    context: Context,
    *,
    loss: Loss = mean_cross_entropy,
) -> Backbone:
    """Makes a network and trains it on uint8 images [N,H,W,C] with labels int64 [N]."""
    model = new_network(recipe, images.shape[3], num_classes, context.seed)
    return fit_on(model, images, labels, recipe.training, context, loss=loss)


def fit_on(
    model: Backbone,
    images: Tensor,
    labels: Tensor,
    config: TrainingConfig,
    context: Context,
    *,
    loss: Loss = mean_cross_entropy,
) -> Backbone:
    """Trains a network in place, as `train` does, through all epochs, and returns it."""
    for epoch, _ in train(model, images, labels, config, context.seed, loss):
        context.update(epoch / config.epochs)
    return model
