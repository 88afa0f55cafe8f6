"""Patches: pixels that show one and the same value in most flagged images, and in few clean ones."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import rules
from ..training.loop import EVAL_BATCH, as_input
from .base import Estimate, Kind
from .statistics import LEVELS


def find_patch(flagged: Tensor, clean: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor] | None:
    """Looks for pixels with a constant value.

    Args:
        flagged: float32 [H*W*C,256], histograms of D_p.
        clean: the same for clean images of D_p's content.

    Returns:
        The mask bool [H,W] and the values float32 [H,W,C] in 0..1, or None.
    """
    height, width, channels = shape
    share, value = _commonest(flagged)
    expected = _in_window(clean).gather(1, value[:, None])[:, 0]
    constant = (share >= rules.PATCH_SHOWN) & (share - expected >= rules.PATCH_EXCESS)
    mask = constant.view(shape).float().mean(2) > 0.5
    if not mask.any() or mask.float().mean() > rules.PATCH_AREA:
        return None
    # The commonest level inside the window; ties of an even plateau go to its middle.
    level = torch.arange(LEVELS)
    near = (level - value[:, None]).abs() <= rules.PATCH_WINDOW
    inside = flagged * near
    values = (inside * level).sum(1) / inside.sum(1).clamp_min(1e-9)
    return mask, (values / 255).view(height, width, channels)


def is_pattern(mask: Tensor, flagged: Tensor, clean: Tensor, count: int) -> bool:
    """Whether the constant pixels of a mask bool [H,W] are the even ground of images under a pattern.

    A pattern moves the commonest value of a pixel, but makes it no commoner. Where the ground is even, that does not
    tell a patch from a pattern; then there is no patch if much of the image outside the mask has changed, too.

    Takes the histograms of `find_patch` and the number of flagged images.
    """
    gain = (_commonest(flagged)[0] - _commonest(clean)[0]).view(*mask.shape, -1)[mask].mean()
    return bool(gain < rules.PATCH_GAIN) and _changes_elsewhere(mask, flagged, clean, count)


def _commonest(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Share of the images and grey level [H*W*C] of the commonest value of each pixel."""
    share, level = _in_window(shares).max(1)
    return share, level


def _in_window(shares: Tensor) -> Tensor:
    """Share of the values around each grey level, [H*W*C,256]."""
    return F.conv1d(shares[:, None], torch.ones(1, 1, 2 * rules.PATCH_WINDOW + 1), padding=rules.PATCH_WINDOW)[:, 0]


def _changes_elsewhere(mask: Tensor, flagged: Tensor, clean: Tensor, count: int) -> bool:
    level = torch.arange(LEVELS).float()
    mean, usual = flagged @ level, clean @ level
    deviation = (clean @ level.square() - usual.square()).clamp_min(0.25).sqrt() / count**0.5
    changed = (mean - usual).abs() > rules.CHANGED_DEVIATION * deviation
    outside = changed.view(*mask.shape, -1)[~mask]
    return bool(outside.float().mean() > rules.CHANGED_SHARE)


def estimate_patch(
    mask: Tensor,
    values: Tensor,
    reference: npt.NDArray[np.uint8],
    shape: tuple[int, int, int],
    kind: Kind = "patch",
) -> Estimate:
    """Builds the estimate and learns from clean images uint8 [M,H,W,C] how often they match by chance."""
    hole = mask[None].float()
    estimate = Estimate(kind, shape).set(
        scale=(1 - hole).expand(shape[2], -1, -1),
        shift=values.permute(2, 0, 1) * hole,
        tolerance=torch.tensor((rules.PATCH_WINDOW + 0.5) / 255),
    )
    chunks = torch.split(torch.from_numpy(reference), EVAL_BATCH)
    shown, contrast = map(torch.cat, zip(*(estimate.compare(as_input(x)) for x in chunks), strict=True))
    matched = shown >= rules.PATCH_MATCHED
    # Half of the clean images that match by chance would do so on even ground.
    border = torch.tensor(rules.PATCH_CONTRAST[kind])
    flat = contrast < border
    chance = (matched & flat).sum().add(0.5) / flat.sum().add(1)
    estimate.set(contrast=torch.stack([border, chance.clamp(0.01, 0.99)]))
    if kind == "moving patch":
        elsewhere = (matched & ~flat).sum().add(0.5) / (~flat).sum().add(1)
        estimate.calibration[0] = elsewhere
    return estimate
