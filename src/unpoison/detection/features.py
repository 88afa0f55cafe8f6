"""Features of a sample under training on the suspect data: PD-AutoR 3.1.4, components 1 to 4."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..progress import Stage
from ..training.backbones import Backbone
from ..training.loop import TrainingConfig, predict, train


class TrainingRecord(NamedTuple):
    """What training the model M on the suspect data left behind."""

    activations: Tensor
    """E1: float32 [N,D], penultimate activations of the trained model."""
    losses: Tensor
    """L_j: float32 [N,d2], cross-entropy of each sample after each epoch, in evaluation mode."""


def record_training(
    model: Backbone, images: Tensor, labels: Tensor, config: TrainingConfig, seed: int, stage: Stage
) -> TrainingRecord:
    """Trains M in place and logs every sample's loss after every epoch.

    Args:
        images: uint8 [N,H,W,C].
        labels: int64 [N], on the same device.
    """
    losses = []
    for epoch, _ in train(model, images, labels, config, seed):
        prediction = predict(model, images)
        losses.append(F.cross_entropy(prediction.logits, labels, reduction="none"))
        stage.update(epoch / config.epochs)
    return TrainingRecord(prediction.features, torch.stack(losses, 1))


def training_time_feature(losses: Tensor) -> Tensor:
    """E2 (eq. 1): differences of the loss between consecutive epochs, float32 [N,d2] to [N,d2-1]."""
    return losses.diff(dim=1)


def fuse(activations: Tensor, losses: Tensor, loss_weight: float) -> Tensor:
    """E_f = E1 ‖ λ E2, float32 [N,D+d2-1]."""
    return torch.cat([activations, loss_weight * training_time_feature(losses)], dim=1)
