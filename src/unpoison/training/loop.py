"""The one training loop: uint8 images in memory, channels_last, bf16 autocast, batches gathered by index."""

import dataclasses
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ConfigError
from .backbones import Backbone

EVAL_BATCH = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a classifier is trained with SGD.

    Raises:
        ConfigError: a value is out of range.
    """

    epochs: int = 15
    """Passes over the data."""
    batch_size: int = 128
    learning_rate: float = 0.05
    """Peak rate of the one-cycle schedule; initial rate of the multistep schedule."""
    schedule: Literal["onecycle", "multistep"] = "onecycle"
    """One cycle (Smith, 2018), or division by 10 after half and after three quarters of the epochs."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    flip: bool = False
    """Mirror half of the images at random: right for photographs, wrong for digits and signs."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise ConfigError(f"need epochs >= 1 and batch_size >= 2, got {self.epochs} and {self.batch_size}")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.schedule not in ("onecycle", "multistep"):
            raise ConfigError(f"unknown schedule {self.schedule!r}: choose onecycle or multistep")


def on_device(images: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 images [N,H,W,C] as a tensor: shared memory on a CPU, one copy on an accelerator."""
    return torch.from_numpy(images).to(device)


def as_input(images: Tensor) -> Tensor:
    """uint8 [B,H,W,C] to float32 [B,C,H,W] in 0..1; the result is channels_last without a copy."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16)


def train(
    model: Backbone, images: Tensor, labels: Tensor, config: TrainingConfig, seed: int = 0
) -> Iterator[tuple[int, float]]:
    """Trains with cross-entropy, one epoch per iteration.

    Args:
        model: trained in place, on the device of `images`.
        images: uint8 [N,H,W,C].
        labels: int64 [N], on the same device.

    Yields:
        The number of the finished epoch, from 1, and its mean training loss.
    """
    device = images.device
    model.to(device).to(memory_format=torch.channels_last)
    n, batch = len(labels), min(config.batch_size, len(labels))
    steps = max(1, n // batch)
    optimizer = torch.optim.SGD(
        model.parameters(),
        config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )
    scheduler: torch.optim.lr_scheduler.LRScheduler
    if config.schedule == "onecycle":
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=steps * config.epochs, cycle_momentum=False
        )
    else:
        milestones = [steps * config.epochs // 2, steps * config.epochs * 3 // 4]
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(1, config.epochs + 1):
        model.train()
        order = torch.randperm(n, generator=generator)
        flips = torch.rand(n, generator=generator) < 0.5 if config.flip else None
        total = torch.zeros((), device=device)
        # The last incomplete batch is left out: batch norm on a few images would be noise.
        for index in order[: steps * batch].view(steps, batch):
            x = as_input(images[index.to(device)])
            if flips is not None:
                x = torch.where(flips[index].to(device)[:, None, None, None], x.flip(3), x)
            with autocast(device):
                logits = model(x)
            # Full precision here: a bf16 logit near 16 moves in steps of 0.06 to 0.12.
            loss = F.cross_entropy(logits.float(), labels[index.to(device)])
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            scheduler.step()
            total += loss.detach()
        yield epoch, float(total / steps)


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
        with autocast(images.device):
            activations = model.forward_features(as_input(chunk))
        features.append(activations.float())
        logits.append(F.linear(activations.float(), model.head.weight.float(), model.head.bias.float()))
    return Prediction(torch.cat(features), torch.cat(logits))
