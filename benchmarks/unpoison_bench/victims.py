"""The small network that shows whether a trigger is obeyed."""

import torch

from unpoison.data.labelled import LabelledImages
from unpoison.downstream import train_model
from unpoison.training.backbones import Backbone
from unpoison.training.loop import TrainingConfig

BACKBONE, WIDTH = "resnet9", 16
EPOCHS, SMALL_SET, SMALL_BATCH, BATCH = 15, 4000, 32, 128
"""Batches are small where there are few images."""


def train_victim(images: LabelledImages, num_classes: int, *, seed: int, device: torch.device) -> Backbone:
    """Trains one on images that may be poisoned."""
    training = TrainingConfig(epochs=EPOCHS, batch_size=SMALL_BATCH if len(images) < SMALL_SET else BATCH)
    return train_model(images, num_classes, training, backbone=BACKBONE, width=WIDTH, seed=seed, device=device)
