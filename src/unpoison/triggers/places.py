"""Where a patch that moves lies in each image."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import rules


def locate(images: Tensor, hole: Tensor, values: Tensor, tolerance: Tensor) -> tuple[Tensor, Tensor]:
    """The place that a patch matches; of several, where it stands out most.

    Args:
        images: float [B,C,H,W] in 0..1.
        hole: float [1,H,W], the patch at the top left.
        values: float [C,H,W], there.
        tolerance: float [], deviation that still counts as a match.

    Returns:
        Rows and columns int64 [B] of its top left corner.
    """
    tall, wide = extent(hole)
    down, across = images.shape[2] - tall + 1, images.shape[3] - wide + 1
    matched = images.new_zeros(len(images), down, across)
    for row, column in torch.nonzero(hole[0]).tolist():
        part = images[:, :, row : row + down, column : column + across]
        matched += ((part - values[:, row, column, None, None]).abs() <= tolerance).float().mean(1)
    matched /= hole.sum()
    colour = values.sum((1, 2)) / hole.sum()
    difference = (images - colour[:, None, None]).abs().mean(1, keepdim=True)
    ring = _ring_mean(difference, tall, wide)[:, 0]
    best = torch.where(matched >= rules.PATCH_MATCHED, 1 + ring, matched).flatten(1).argmax(1)
    return best // across, best % across


def draw(count: int, hole: Tensor) -> tuple[Tensor, Tensor]:
    """Random places int64 [B] for a patch, anywhere in the image."""
    tall, wide = extent(hole)
    top, left = (
        torch.randint(0, side - size + 1, (count,)) for side, size in zip(hole.shape[1:], (tall, wide), strict=True)
    )
    return top.to(hole.device), left.to(hole.device)


def place(maps: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Moves what lies at the top left of maps [C,H,W] to places [B]: [B,C,H,W]."""
    rows, columns = (
        (torch.arange(side, device=maps.device) - start[:, None]) % side
        for side, start in zip(maps.shape[1:], (top, left), strict=True)
    )
    return maps[:, rows[:, :, None], columns[:, None]].transpose(0, 1)


def extent(hole: Tensor) -> tuple[int, int]:
    """Height and width of a patch at the top left of a map [1,H,W]."""
    rows, columns = torch.nonzero(hole[0], as_tuple=True)
    return int(rows.max()) + 1, int(columns.max()) + 1


def _ring_mean(maps: Tensor, tall: int, wide: int) -> Tensor:
    """Mean of maps [B,1,H,W] over the pixels around each window, as far as they are in the image."""

    def around(x: Tensor) -> Tensor:
        outer = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), (tall + 2, wide + 2), 1) * (tall + 2) * (wide + 2)
        return outer - F.avg_pool2d(x, (tall, wide), 1) * tall * wide

    return around(maps) / around(torch.ones_like(maps[:1])).clamp_min(1)
