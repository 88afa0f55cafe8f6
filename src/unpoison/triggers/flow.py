"""A warp: every pixel is taken from a little beside its place, by the same way in all images.

Values between pixels are means of their neighbours, so a warp blurs, here more and there less, by how far between the
pixels it looks. An image tells by the detail that it has left where that should be little, and where much.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE, MOST = 16, 4
"""Largest side of a tile, and how many along each side of the image are looked at."""
MARGIN = 2
"""Pixels around a tile that it may be made of: a warp takes none from further away."""
SHARPNESS = 3
"""Kinds of tiles, by how sharp they are; each has a covariance of its own."""
UNDOING = 20


class Flow(nn.Module):
    """Samples images beside their pixels, bilinearly, and tells images that were sampled so from others.

    Attributes:
        flow: float32 [2,H,W], how far right and below of its place every pixel is taken, in pixels, within ±`MARGIN`.
        whitening: float32 [2,S,T,D,D]; of T tiles with D values and S kinds of sharpness, for images as they come and
            for warped ones: the inverse of the Cholesky factor of their covariance.
    """

    flow: Tensor
    whitening: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        (tall, wide), corners = tiling(height, width)
        values = tall * wide
        self.register_buffer("flow", torch.zeros(2, height, width))
        self.register_buffer("whitening", torch.eye(values).repeat(2, SHARPNESS, len(corners), 1, 1))

    def set(self, flow: Tensor, whitening: Tensor) -> None:
        """Assigns both."""
        self.flow.copy_(flow)
        self.whitening.copy_(whitening)

    def forward(self, images: Tensor) -> Tensor:
        """Warps float images [B,C,H,W]."""
        return _sample(images, self.flow)

    def undo(self, images: Tensor) -> Tensor:
        """Images [B,C,H,W] whose warped copies are like the given ones (Landweber's iteration)."""
        restored = images
        for _ in range(UNDOING):
            # Sampling the other way is nearly the adjoint, since the flow is smooth.
            restored = restored + _sample(images - self(restored), -self.flow)
        return restored

    def scores(self, images: Tensor) -> Tensor:
        """Log-likelihood ratio [B] of "was warped so" over "was not", for float images [B,C,H,W] in 0..1."""
        tiles = cut(images).mT
        plain, warped = (
            log_density(factors @ tiles, factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)) for factors in self.whitening
        )
        return warped - plain


def tiling(height: int, width: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """The height and width of tiles, and the rows and columns of their corners."""
    counts = [-(-side // SIDE) for side in (height, width)]
    tall, wide = (side // count for side, count in zip((height, width), counts, strict=True))
    rows, columns = (
        np.linspace(0, side - size, min(count, MOST)).round().astype(int).tolist()
        for side, size, count in zip((height, width), (tall, wide), counts, strict=True)
    )
    return (tall, wide), [(row, column) for row in rows for column in columns]


def cut(images: Tensor, margin: int = 0) -> Tensor:
    """The tiles, or windows around them, of float images [B,C,H,W]: their brightness without its mean, [T,B,D].

    Colours tell nothing: formats like JPEG store them blurred.
    """
    (tall, wide), corners = tiling(*images.shape[2:])
    grey = F.pad(images.mean(1, keepdim=True), (margin,) * 4, mode="replicate")[:, 0]
    windows = torch.stack(
        [grey[:, row : row + tall + 2 * margin, column : column + wide + 2 * margin] for row, column in corners]
    ).flatten(2)
    return windows - windows.mean(2, keepdim=True)


def log_density(whitened: Tensor, log_volume: Tensor) -> Tensor:
    """Log-likelihood [B], up to a constant, of normal tiles of which each has a contrast of its own.

    Args:
        whitened: float [S,T,D,B], for every sharpness.
        log_volume: float [S,T], log-determinants of what whitened them.
    """
    half = whitened.shape[2] / 2
    density: Tensor = log_volume[..., None] - half * (whitened.square().sum(2) + 1).log()
    return density.logsumexp(0).sum(0)


def _sample(images: Tensor, flow: Tensor) -> Tensor:
    height, width = images.shape[2:]
    rows, columns = (torch.linspace(-1, 1, side, device=images.device) for side in (height, width))
    across, down = flow[0] * 2 / max(1, width - 1), flow[1] * 2 / max(1, height - 1)
    grid = torch.stack([columns + across, rows[:, None] + down], -1)
    return F.grid_sample(images, grid.expand(len(images), -1, -1, -1), padding_mode="border", align_corners=True)
