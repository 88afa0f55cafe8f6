"""The one training loop: uint8 images in memory, channels_last, the device's precision, batches gathered by index."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ..checks import Above0, AtLeast0, Positive, checked
from .backbones import Backbone
from .precision import autocast
from .threads import follow_load

EVAL_BATCH = 512


@checked
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a classifier is trained.

    Raises:
        ConfigError: a value is unknown, of another type or out of range.
    """

    epochs: Positive = 15
    """Passes over the data."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """SGD has Nesterov's momentum, Adam its published defaults."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Images per step."""
    learning_rate: Above0 = 0.05
    """Peak rate of the one-cycle schedule; initial rate of the multistep schedule."""
    schedule: Literal["onecycle", "multistep", "constant"] = "onecycle"
    """One cycle (Smith, 2018), division by 10 after half and after three quarters of the epochs, or none."""
    momentum: AtLeast0 = 0.9
    """Of SGD; Adam keeps its own."""
    weight_decay: AtLeast0 = 5e-4
    """L2 penalty on all parameters."""
    flip: bool = False
    """Mirror half of the images at random: right for photographs, wrong for digits and signs."""


def on_device(images: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 images [N,H,W,C] as a tensor: shared memory on a CPU, one copy on an accelerator."""
    return torch.from_numpy(images).to(device)


def as_input(images: Tensor) -> Tensor:
    """uint8 [B,H,W,C] to float32 [B,C,H,W] in 0..1; the result is channels_last without a copy."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def as_pixels(images: Tensor) -> npt.NDArray[np.uint8]:
    """float [B,C,H,W] in 0..1 to uint8 [B,H,W,C]: what `as_input` does, the other way."""
    rounded = images.clamp(0, 1).mul(255).round().to(torch.uint8)
    pixels: npt.NDArray[np.uint8] = rounded.permute(0, 2, 3, 1).cpu().numpy()
    return pixels


Loss = Callable[[Backbone, Tensor, Tensor, Tensor], Tensor]
"""Maps a model, float images [B,C,H,W] in 0..1, labels int64 [B] and positions int64 [B] to a scalar."""


def cross_entropy(model: Backbone, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every sample of a batch, float32 [B]; arguments as of `Loss`."""
    with autocast(images.device):
        logits = model(images)
    # Full precision here: a bf16 logit near 16 moves in steps of 0.06 to 0.12.
    return F.cross_entropy(logits.float(), labels, reduction="none")


def mean_cross_entropy(model: Backbone, images: Tensor, labels: Tensor, index: Tensor) -> Tensor:
    """Mean cross-entropy of a batch; a `Loss`."""
    return cross_entropy(model, images, labels).mean()


def train(
    model: Backbone,
    images: Tensor,
    labels: Tensor,
    config: TrainingConfig,
    seed: int = 0,
    loss: Loss = mean_cross_entropy,
) -> Iterator[tuple[int, float]]:
    """Trains with a loss, one epoch per iteration.

    Args:
        model: trained in place, on the device of `images`.
        images: uint8 [N,H,W,C].
        labels: int64 [N], on the same device.
        loss: sees the batch after mirroring.

    Yields:
        The number of the finished epoch, from 1, and its mean training loss.
    """
    device = images.device
    model.to(device).to(memory_format=torch.channels_last)
    n, batch = len(labels), min(config.batch_size, len(labels))
    steps = max(1, n // batch)
    optimizer = _optimizer(model, config)
    scheduler = _scheduler(optimizer, config, steps)
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(1, config.epochs + 1):
        model.train()
        order = torch.randperm(n, generator=generator)
        flips = (torch.rand(n, generator=generator) < 0.5).to(device) if config.flip else None
        total = torch.zeros((), device=device)
        # The last incomplete batch is left out: batch norm on a few images would be noise.
        for index in order[: steps * batch].view(steps, batch):
            follow_load()
            index = index.to(device)
            x = as_input(images[index])
            if flips is not None:
                x = torch.where(flips[index][:, None, None, None], x.flip(3), x)
            value = loss(model, x, labels[index], index)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(value)
            optimizer.step()
            scheduler.step()
            total += value.detach()
        yield epoch, float(total / steps)


def _optimizer(model: Backbone, config: TrainingConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        model.parameters(),
        config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )


def _scheduler(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if config.schedule == "onecycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=steps * config.epochs, cycle_momentum=False
        )
    total = steps * config.epochs
    milestones = [total // 2, total * 3 // 4] if config.schedule == "multistep" else []
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)


class Prediction(NamedTuple):
    """What a trained model says about every image."""

    features: Tensor
    """float32 [N,D], penultimate activations."""
    logits: Tensor
    """float32 [N,K]."""


@torch.inference_mode()
def predict(model: Backbone, images: Tensor) -> Prediction:
    """Runs a model in evaluation mode over uint8 images [N,H,W,C]; the results stay on their device."""
    model.eval()
    features, logits = [], []
    for chunk in torch.split(images, EVAL_BATCH):
        follow_load()
        with autocast(images.device):
            activations = model.forward_features(as_input(chunk))
        features.append(activations.float())
        logits.append(F.linear(activations.float(), model.head.weight.float(), model.head.bias.float()))
    return Prediction(torch.cat(features), torch.cat(logits))


def predict_mirrored(model: Backbone, images: Tensor, flip: bool) -> Tensor:
    """Logits [N,K] of uint8 images [N,H,W,C]; with `flip`, for a model trained so, their means with the mirrors'."""
    logits = predict(model, images).logits
    return (logits + predict(model, images.flip(2)).logits) / 2 if flip else logits
