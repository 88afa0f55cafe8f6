"""Images that are joined from parts of others: a straight cut runs through them.

Networks learn such a trigger without forming a cluster, since what they see in each part is real. Horizons and stripes
are straight edges, too, so a seam is no evidence by itself: what the images show decides, as for other splits.
"""

import torch
from torch import Tensor

from .. import rules
from .mixture import Split, fit_split, least_share

BATCH = 1024
START = 3.0
"""Robust deviations from which an image is taken for joined at first."""


def seam_splits(images: Tensor, members: list[Tensor]) -> list[Split | None]:
    """Each class's split into images with a seam, inside, and without; None where the two are not clearly apart.

    Args:
        images: uint8 [N,H,W,C].
        members: bool [N], one per class; none is empty.
    """
    clarity = seams(images)
    centred = [clarity[member] - clarity[member].median() for member in members]
    width = (1.4826 * torch.cat(centred).abs().median()).clamp_min(1e-6)
    splits = [fit_split(values[:, None] / width, (values > START * width)[None]) for values in centred]
    return [
        split
        if split.separation >= rules.SEAM_SEPARATION and least_share(len(split.log_ratio)) <= split.share <= 0.5
        else None
        for split in splits
    ]


def seams(images: Tensor) -> Tensor:
    """How clearly the clearest straight cut through the middle third of an image stands out, float32 [N].

    Along a cut, neighbouring pixels come from different images, and those on either side of it do not. So the step
    across it is compared with the two steps beside it: the mean along the cut of log(surprise / variation), where
    surprise is how far the step is from the mean of both, and variation is how large they are.

    Args:
        images: uint8 [N,H,W,C].

    Returns:
        The larger of both directions; 0 where the images have no middle third.
    """
    starts = range(0, len(images), BATCH)
    return torch.cat([_clearest(images[start : start + BATCH].float()) for start in starts])


def _clearest(images: Tensor) -> Tensor:
    found = [images.new_zeros(len(images))]
    for across in (images, images.transpose(1, 2)):
        length = across.shape[2]
        steps = across.diff(dim=2)
        # Step k leads from pixel k to pixel k + 1 and needs one on either side.
        first, last = max(1, length // 3 - 1), min(length - 3, 2 * length // 3 - 1)
        if first > last:
            continue
        before, step, after = (steps[:, :, first + k : last + 1 + k] for k in (-1, 0, 1))
        surprise = _size(step - (before + after) / 2)
        variation = (_size(before) + _size(after)) / 2
        clarity = ((surprise + rules.SEAM_NOISE) / (variation + rules.SEAM_NOISE)).log().mean(1)
        found.append(clarity.max(1).values)
    # The zeros are for images without a middle; elsewhere no seam at all may well be below zero.
    return torch.stack(found[1:] or found).max(0).values


def _size(steps: Tensor) -> Tensor:
    """Root mean square over the channels, float32 [n,H,W] of [n,H,W,C]."""
    return steps.square().mean(3).sqrt()
