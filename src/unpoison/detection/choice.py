"""Chooses network and training by the device and the data, where the configuration leaves it open."""

import dataclasses
import logging
import math

import numpy as np
import numpy.typing as npt
import scipy
import torch

from .. import rules
from ..context import Context
from ..training.fit import Recipe, fit_new
from ..training.loop import TrainingConfig, on_device, predict
from .config import NetworkConfig

_PROBE_IMAGES, _TRAINED = 4_000, 0.75
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Choice(Recipe):
    """What M is and how it is trained."""

    notes: list[str]
    """Reasons, for the report."""
    features: str | None = None
    """Frozen ones, on which classifiers are trained that learn credible samples alone."""


def default_network(device: torch.device) -> tuple[str, int]:
    """Backbone and width of M where the configuration leaves them open."""
    return ("resnet9", 16) if device.type == "cpu" else ("resnet18", 64)


def choose(
    config: NetworkConfig,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    context: Context,
) -> Choice:
    """Fills in what `config` leaves open for uint8 images [N,H,W,C] with labels int64 [N]."""
    device = context.device
    cpu = device.type == "cpu"
    n = len(labels)
    notes = []
    backbone, width = default_network(device)
    backbone, width = config.backbone or backbone, config.width or width
    training = config.training
    if config.backbone is None or config.width is None:
        notes.append(f"network: {backbone} of width {width}, as fits a {device.type}")
    if training is None:
        # Small batches keep the number of steps up where there are few samples.
        batch_size = 128 if n >= 4000 else 32
        epochs = int(np.clip(100_000 // n, 8, 15)) if cpu else 30
        training = TrainingConfig(epochs=epochs, batch_size=batch_size)
        chance = mirror_chance(images, labels, num_classes, training, context)
        flip = chance > rules.FALSE_ALARMS
        training = dataclasses.replace(training, flip=flip)
        notes.append(
            f"training: {epochs} epochs for {n} samples on a {device.type}; mirroring {'on' if flip else 'off'}: a "
            f"network that never saw mirrored images is {'no less' if flip else 'less'} sure of them (p = {chance:.2g})"
        )
    for note in notes:
        _logger.info("%s", note)
    return Choice(backbone, width, training, notes)


def mirror_chance(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    training: TrainingConfig,
    context: Context,
) -> float:
    """How likely a network that never saw mirrored images would be so much less sure of them by chance, 0..1.

    A short training without mirroring on three quarters of some images; then Wilcoxon's signed-rank test of the
    probabilities of the labels, of the others and of their mirror images. Photographs of things give any value, digits
    and signs, whose mirror images mean something else, next to nothing.
    """
    rng = np.random.default_rng(context.seed)
    probe = rng.permutation(len(labels))[:_PROBE_IMAGES]
    (x, y), (held_out, own) = (
        (on_device(images[part], context.device), torch.from_numpy(labels[part]).to(context.device))
        for part in map(np.sort, np.split(probe, [math.ceil(_TRAINED * len(probe))]))
    )
    if len(own) < 2:  # too few for any test
        return 1.0
    epochs = 4 if len(probe) >= 4000 else 8
    plain = dataclasses.replace(training, epochs=epochs, flip=False)
    model = fit_new(x, y, num_classes, Recipe("resnet9", 8, plain), context)

    def sureness(batch: torch.Tensor) -> npt.NDArray[np.float32]:
        odds: torch.Tensor = predict(model, batch).logits.log_softmax(1).gather(1, own[:, None])[:, 0]
        return odds.cpu().numpy()

    # Half of the images that are their own mirror images count for either side.
    test = scipy.stats.wilcoxon(
        sureness(held_out.flip(2)), sureness(held_out), zero_method="zsplit", alternative="less"
    )
    return float(test.pvalue)
