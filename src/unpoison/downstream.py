"""What a downstream user sees: accuracy and attack success rate of a small network trained on some images."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .attacks import Attack
from .attacks.targets import Target, split_targets, wanted_labels
from .context import Context
from .data.labelled import LabelledImages
from .errors import ConfigError
from .metrics import accuracy, attack_success_rate
from .training.backbones import Backbone
from .training.fit import Recipe, fit_new
from .training.loop import TrainingConfig, on_device, predict

Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.int64]]
"""Maps raw images, uint8 [N,H,W,C], to class numbers, int64 [N]."""


class Downstream(NamedTuple):
    """How a trained classifier behaves on held-out images.

    Trained on the clean and the restored part of a dataset, D_c ∪ D_q, its accuracy is PD-AutoR's DMA; trained on
    D_c alone, with all that was flagged discarded, it is DMA_B (section 5.1.4).
    """

    accuracy: float | None
    """Share of clean test images that are classified right; None without test images, or without training."""
    attack_success_rate: float | None
    """ASR: share of the stamped test images of the attack's victims (by default, of all classes but the target) that
    are classified as the attacker wants; of several attacks, the highest. None without an attack or training."""


def train_and_test(
    data: LabelledImages,
    test: LabelledImages,
    attacks: Sequence[Attack],
    target: Target | Sequence[Target],
    config: TrainingConfig,
    *,
    backbone: str = "resnet9",
    width: int = 16,
    seed: int = 0,
    device: torch.device,
) -> Downstream:
    """Trains a small network on `data` and measures it on `test`.

    Args:
        attacks: those of the poisoned dataset, fitted on it where they learn from data.
        target: the attacker's, as `PoisonedDataset` takes it.

    Returns:
        Without both measures where fewer than two images are left to train on.

    Raises:
        ConfigError: as `measure_model`.
    """
    if len(data) < 2:
        return Downstream(None, None)
    num_classes = int(test.labels.max()) + 1
    model = train_model(data, num_classes, config, backbone=backbone, width=width, seed=seed, device=device)
    return measure_model(model, test, attacks, target, device=device)


def train_model(
    data: LabelledImages,
    num_classes: int,
    config: TrainingConfig,
    *,
    backbone: str,
    width: int,
    seed: int,
    device: torch.device,
) -> Backbone:
    """Trains a small network on `data`."""
    images, labels = on_device(data.images, device), torch.from_numpy(data.labels).to(device)
    return fit_new(images, labels, num_classes, Recipe(backbone, width, config), Context(device, seed))


def measure_model(
    model: Backbone,
    test: LabelledImages,
    attacks: Sequence[Attack],
    target: Target | Sequence[Target],
    *,
    device: torch.device,
) -> Downstream:
    """Measures a trained classifier, on `device`, on clean and on stamped test images.

    Raises:
        ConfigError: an attack learns from data and was not fitted.
    """
    return measure_predictions(predictions(model, device), test, attacks, target)


def predictions(model: Backbone, device: torch.device) -> Predict:
    """What a network on `device` says."""

    def predicted(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        classes: npt.NDArray[np.int64] = predict(model, on_device(images, device)).logits.argmax(1).cpu().numpy()
        return classes

    return predicted


def measure_predictions(
    predicted: Predict, test: LabelledImages, attacks: Sequence[Attack], target: Target | Sequence[Target]
) -> Downstream:
    """Measures any classifier, see `measure_model`."""
    correct = accuracy(predicted(test.images), test.labels)
    rates = []
    for attack, aim in zip(attacks, split_targets(target, len(attacks)), strict=True):
        met = attack.at_test(test.images, test.labels)
        if not met.fitted:
            raise ConfigError(f"{attack.name} was not fitted: pass the attacks of the PoisonedDataset")
        wanted = wanted_labels(aim, test.labels)
        victims = attack.victims(test.labels, wanted)
        rates.append(attack_success_rate(predicted(met(test.images[victims])), wanted[victims]))
    return Downstream(correct, max((rate for rate in rates if rate is not None), default=None))
