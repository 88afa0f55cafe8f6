"""Chooses network and training by the device and the data, where the configuration leaves it open."""

import dataclasses
import logging
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .. import rules
from ..training.backbones import create_backbone
from ..training.loop import TrainingConfig, on_device, predict, train
from .config import DetectionConfig

_PROBE_IMAGES = 4_000
_logger = logging.getLogger(__name__)


class Choice(NamedTuple):
    """What M is and how it is trained."""

    backbone: str
    width: int
    training: TrainingConfig
    notes: list[str]
    """Reasons, for the report."""


def choose(
    config: DetectionConfig,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    device: torch.device,
    seed: int,
) -> Choice:
    """Fills in what `config` leaves open for uint8 images [N,H,W,C] with labels int64 [N]."""
    cpu = device.type == "cpu"
    n = len(labels)
    notes = []
    backbone = config.backbone or ("resnet9" if cpu else "resnet18")
    width = config.width or (16 if cpu else 64)
    training = config.training
    if config.backbone is None or config.width is None:
        notes.append(f"network: {backbone} of width {width}, as fits a {device.type}")
    if training is None:
        # Small batches keep the number of steps up where there are few samples.
        batch_size = 128 if n >= 4000 else 32
        epochs = int(np.clip(100_000 // n, 8, 15)) if cpu else 30
        training = TrainingConfig(epochs=epochs, batch_size=batch_size)
        ratio = mirror_ratio(images, labels, num_classes, training, device, seed)
        flip = ratio >= rules.SAME_WHEN_MIRRORED
        training = dataclasses.replace(training, flip=flip)
        notes.append(
            f"training: {epochs} epochs for {n} samples on a {device.type}; mirroring {'on' if flip else 'off'}: a "
            f"network that never saw mirrored images keeps {ratio:.2f} of its accuracy on them"
        )
    for note in notes:
        _logger.info("%s", note)
    return Choice(backbone, width, training, notes)


def mirror_ratio(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    training: TrainingConfig,
    device: torch.device,
    seed: int,
) -> float:
    """Accuracy on mirrored images over accuracy on the images themselves, after a short training without mirroring.

    Near 1 for photographs of things, far below for digits and signs, whose mirror images mean something else.
    """
    rng = np.random.default_rng(seed)
    probe = np.sort(rng.permutation(len(labels))[:_PROBE_IMAGES])
    x, y = on_device(images[probe], device), torch.from_numpy(labels[probe]).to(device)
    torch.manual_seed(seed)
    model = create_backbone("resnet9", images.shape[3], num_classes, 8)
    epochs = 4 if len(probe) >= 4000 else 8
    for _ in train(model, x, y, dataclasses.replace(training, epochs=epochs, flip=False), seed):
        pass

    def accuracy(batch: torch.Tensor) -> float:
        return float((predict(model, batch).logits.argmax(1) == y).float().mean())

    return accuracy(x.flip(2)) / max(accuracy(x), 1e-6)
