"""Trains a restorer: on pairs made with the estimate where there is one, else as the CycleGAN of the paper."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..errors import RestorerError
from ..progress import Stage
from ..training.loop import as_input
from .config import DEFAULT, RestorationConfig
from .cyclegan import train_cyclegan
from .estimate import Estimate
from .restorer import MAX_SIDE, MIN_SIDE, Architecture, Restorer

_HELD_OUT = 128


def train_restorer(
    images: npt.NDArray[np.uint8],
    poisoned: npt.NDArray[np.bool_],
    estimate: Estimate | None = None,
    config: RestorationConfig = DEFAULT,
    *,
    device: torch.device | None = None,
    seed: int = 0,
    stage: Stage | None = None,
) -> Restorer:
    """Trains the content restorator R (section 3.2).

    Args:
        images: uint8 [N,H,W,C], may be memory-mapped; 8x8 to 256x256 pixels.
        poisoned: bool [N], the members of D_p; the rest is D_c.
        estimate: how D_p was made. None, or kind "none", leaves the work to the CycleGAN.

    Raises:
        RestorerError: the images are of an unsupported size.
    """
    device = device or torch.device("cpu")
    height, width, channels = images.shape[1:]
    if not (MIN_SIDE <= height <= MAX_SIDE and MIN_SIDE <= width <= MAX_SIDE):
        raise RestorerError(
            f"a restorer works on images of {MIN_SIDE}x{MIN_SIDE} to {MAX_SIDE}x{MAX_SIDE} pixels, got "
            f"{height}x{width}: resize the dataset"
        )
    explained = estimate is not None and estimate.kind != "none" and config.use_estimate
    torch.manual_seed(seed)
    restorer = Restorer(
        Architecture(
            height=height,
            width=width,
            channels=channels,
            kind=estimate.kind if estimate is not None and explained else "none",
            generator_width=config.width,
            transformer_depth=config.transformer_depth,
            residual=config.residual,
            positions=config.positions,
        )
    ).to(device)
    if estimate is not None and explained:
        restorer.estimate.load_state_dict(estimate.state_dict())
        if estimate.kind == "patch" and config.supervised_steps:
            _train_on_pairs(restorer, images, np.flatnonzero(~poisoned), config, device=device, seed=seed, stage=stage)
        else:
            # Patterns that are mixed in or added invert exactly, but for rounding: measured, a network only added
            # error (CIFAR-10, Blend: .0077 with, .0073 without).
            _correct_nothing(restorer)
    else:
        train_cyclegan(restorer, images, poisoned, config, device=device, seed=seed, stage=stage)
        if not config.cyclegan_epochs or not poisoned.any():
            restorer.strength.zero_()
    return restorer.eval()


def _train_on_pairs(
    restorer: Restorer,
    images: npt.NDArray[np.uint8],
    clean: npt.NDArray[np.int64],
    config: RestorationConfig,
    *,
    device: torch.device,
    seed: int,
    stage: Stage | None,
) -> None:
    """Stamps the estimated patch on clean images and learns what was under it, starting from the inverted estimate."""
    rng = np.random.default_rng(seed)
    clean = rng.permutation(clean)
    held_out, clean = clean[:_HELD_OUT], clean[min(_HELD_OUT, len(clean) // 5) :]
    optimizer = torch.optim.Adam(restorer.generator.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=max(1, config.supervised_steps)
    )

    def pair(index: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        x = as_input(torch.from_numpy(images[np.sort(index)]).to(device))
        with torch.no_grad():
            stamped = restorer.estimate.poison(x)
        return stamped, x

    hole = restorer.estimate.replaced()

    def error(restored: Tensor, x: Tensor) -> Tensor:
        # Only the patch can be wrong: the mean over the image would hide it.
        return ((restored - x).abs() * hole).mean() / hole.mean()

    restorer.generator.train()
    for step in range(config.supervised_steps):
        stamped, x = pair(rng.choice(clean, min(config.batch_size, len(clean))))
        loss = error(restorer.correct(stamped), x)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if stage:
            stage.update((step + 1) / config.supervised_steps)
    restorer.generator.eval()
    with torch.inference_mode():
        stamped, x = pair(held_out)
        learned, inverted = error(restorer.correct(stamped), x), error(restorer.estimate.invert(stamped), x)
    if not learned < inverted:
        _correct_nothing(restorer)


def _correct_nothing(restorer: Restorer) -> None:
    """Leaves what the inverted estimate says."""
    last = restorer.generator.network.last
    assert last.bias is not None
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
