"""Trains a restorer: on pairs made with the trigger where it is known, else as the CycleGAN of the paper."""

import numpy as np
import numpy.typing as npt
import torch

from ..context import Context
from ..errors import RestorerError
from ..triggers import UNEXPLAINED, Trigger
from .architecture import MAX_SIDE, MIN_SIDE, Architecture
from .config import DEFAULT, RestorationConfig
from .cyclegan import train_cyclegan
from .pairs import Pairs
from .restorer import Restorer


def train_restorer(
    images: npt.NDArray[np.uint8],
    poisoned: npt.NDArray[np.bool_],
    trigger: Trigger | None = None,
    config: RestorationConfig = DEFAULT,
    context: Context | None = None,
) -> Restorer:
    """Trains the content restorator R (section 3.2).

    Args:
        images: uint8 [N,H,W,C], may be memory-mapped; 8x8 to 256x256 pixels.
        poisoned: bool [N], the members of D_p; the rest is D_c.
        trigger: how D_p was made. None leaves the work to the CycleGAN.

    Raises:
        RestorerError: the images are of an unsupported size.
    """
    context = Context() if context is None else context
    height, width, channels = images.shape[1:]
    if not (MIN_SIDE <= height <= MAX_SIDE and MIN_SIDE <= width <= MAX_SIDE):
        raise RestorerError(
            f"a restorer works on images of {MIN_SIDE}x{MIN_SIDE} to {MAX_SIDE}x{MAX_SIDE} pixels, got "
            f"{height}x{width}: resize the dataset"
        )
    explained = trigger if config.use_estimate else None
    torch.manual_seed(context.seed)
    restorer = Restorer(
        Architecture(
            height=height,
            width=width,
            channels=channels,
            kind=UNEXPLAINED if explained is None else explained.kind,
            generator_width=config.width,
            transformer_depth=config.transformer_depth,
            residual=config.residual,
            positions=config.positions,
        )
    ).to(context.device)
    if explained is not None:
        assert restorer.trigger is not None
        restorer.trigger.load_state_dict(explained.state_dict())
        if explained.replaces and config.supervised_steps:
            pairs = Pairs(images, np.flatnonzero(~poisoned), config, context)
            pairs.train(restorer, config.supervised_steps)
        else:
            # Patterns that are mixed in or added invert exactly, but for rounding: measured, a network only added
            # error (CIFAR-10, Blend: .0077 with, .0073 without).
            restorer.invert_only()
    else:
        train_cyclegan(restorer, images, poisoned, config, context)
        if not config.cyclegan_epochs or not poisoned.any():
            restorer.strength.zero_()
    return restorer.eval()
