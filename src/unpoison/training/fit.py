"""Networks from scratch, and networks that go on: made from a seed, and trained to the end."""

import torch
from torch import Tensor

from ..progress import Stage
from .backbones import Backbone, create_backbone
from .loop import Loss, TrainingConfig, mean_cross_entropy, train


def new_network(name: str, width: int, channels: int, num_classes: int, seed: int) -> Backbone:
    """An untrained backbone, whose weights the seed decides; the other arguments are those of `create_backbone`."""
    torch.manual_seed(seed)
    return create_backbone(name, channels, num_classes, width)


def fit_new(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    name: str,
    width: int,
    config: TrainingConfig,
    seed: int,
    *,
    loss: Loss = mean_cross_entropy,
    stage: Stage | None = None,
) -> Backbone:
    """Makes a backbone of this name and width and trains it on uint8 images [N,H,W,C] with labels int64 [N]."""
    model = new_network(name, width, images.shape[3], num_classes, seed)
    return fit_on(model, images, labels, config, seed, loss=loss, stage=stage)


def fit_on(
    model: Backbone,
    images: Tensor,
    labels: Tensor,
    config: TrainingConfig,
    seed: int,
    *,
    loss: Loss = mean_cross_entropy,
    stage: Stage | None = None,
) -> Backbone:
    """Trains a network in place, as `train` does, through all epochs, and returns it."""
    for epoch, _ in train(model, images, labels, config, seed, loss):
        if stage is not None:
            stage.update(epoch / config.epochs)
    return model
