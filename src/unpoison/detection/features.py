"""Features of a sample under training on the suspect data: PD-AutoR 3.1.4, components 1 to 4."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..context import Context
from ..training.backbones import Backbone
from ..training.loop import TrainingConfig, cross_entropy, predict, train


class TrainingRecord(NamedTuple):
    """What training the model M on the suspect data left behind."""

    activations: Tensor
    """E1: float32 [N,D], penultimate activations of the trained model."""
    losses: Tensor
    """L_j: float32 [N,d2], cross-entropy of each sample in each epoch, from the training pass itself."""


def record_training(
    model: Backbone, images: Tensor, labels: Tensor, config: TrainingConfig, context: Context
) -> TrainingRecord:
    """Trains M in place and logs every sample's loss in every epoch.

    The paper does not say where the losses come from. Those of the training pass are free, where a pass of their own
    after each epoch takes a quarter of the time. A sample that an epoch leaves out keeps its loss of the one before.

    Args:
        images: uint8 [N,H,W,C].
        labels: int64 [N], on the same device.
    """
    latest = torch.full((len(labels),), math.log(model.head.out_features), device=images.device)

    def loss(model: Backbone, images: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        losses = cross_entropy(model, images, labels)
        latest[index] = losses.detach()
        return losses.mean()

    losses = []
    for epoch, _ in train(model, images, labels, config, context.seed, loss):
        losses.append(latest.clone())
        context.update(epoch / config.epochs)
    return TrainingRecord(predict(model, images).features, torch.stack(losses, 1))


def training_time_feature(losses: Tensor) -> Tensor:
    """E2 (eq. 1): differences of the loss between consecutive epochs, float32 [N,d2] to [N,d2-1]."""
    return losses.diff(dim=1)


def fuse(activations: Tensor, losses: Tensor, loss_weight: float) -> Tensor:
    """E_f = E1 ‖ λ E2, float32 [N,D+d2-1]."""
    return torch.cat([activations, loss_weight * training_time_feature(losses)], dim=1)
