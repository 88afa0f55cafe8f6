"""What a downstream user sees: accuracy and attack success rate of a small network trained on some images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..attacks import Attack
from ..training.backbones import create_backbone
from ..training.loop import TrainingConfig, on_device, predict, train
from .data import LabelledImages


class Downstream(NamedTuple):
    """How a trained classifier behaves on held-out images."""

    accuracy: float
    """Fraction of clean test images classified right."""
    attack_success_rate: float
    """ASR: fraction of stamped test images of other classes that are classified as the target; of several attacks,
    the highest. NaN without an attack."""


def train_and_test(
    data: LabelledImages,
    test: LabelledImages,
    attacks: Sequence[Attack],
    target: int,
    config: TrainingConfig,
    *,
    width: int = 16,
    seed: int = 0,
    device: torch.device,
) -> Downstream:
    """Trains a ResNet-9 on `data` and measures it on `test`."""
    torch.manual_seed(seed)
    num_classes = int(test.labels.max()) + 1
    model = create_backbone("resnet9", data.images.shape[3], num_classes, width)
    images, labels = on_device(data.images, device), torch.from_numpy(data.labels).to(device)
    for _ in train(model, images, labels, config, seed):
        pass

    def predicted(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        classes: npt.NDArray[np.int64] = predict(model, on_device(images, device)).logits.argmax(1).cpu().numpy()
        return classes

    accuracy = float((predicted(test.images) == test.labels).mean())
    others = test.images[test.labels != target]
    rates = [float((predicted(attack(others)) == target).mean()) for attack in attacks]
    return Downstream(accuracy, max(rates, default=float("nan")))
