"""How much detail clean images have, and a warp leaves: the likelihood of tiles of images."""

import torch
from torch import Tensor

from .flow import MARGIN, SHARPNESS, log_density, tiling

PER_VALUE = 2
"""So many windows of every sharpness that show something are needed for each value of one."""
FAINT = 1e-4
"""Variance of windows that show nothing."""


class Detail:
    """How much detail clean images have at every place, by the covariance of the pixels of windows.

    Args:
        windows: float32 [T,m,d], of clean images.
        shape: (H, W, C).
    """

    @staticmethod
    def suffices(windows: Tensor) -> bool:
        """Whether enough windows [T,m,d] show something."""
        return bool((_contrast(windows) > FAINT).sum(1).min() >= SHARPNESS * PER_VALUE * windows.shape[2])

    def __init__(self, windows: Tensor, shape: tuple[int, int, int]) -> None:
        height, width, channels = shape
        (tall, wide), _ = tiling(height, width)
        self._covariances = _covariances(windows, (tall + 2 * MARGIN, wide + 2 * MARGIN))
        # Rounding to grey levels adds noise; tiles are cut without their means, whose variance is free therefore.
        self._added = (1 / 12 / 255**2 / channels + 1e-6) * torch.eye(tall * wide) + 0.1
        self._unwarped = self._factors(torch.zeros(2, height, width))

    def scores(self, flow: Tensor, tiles: Tensor) -> Tensor:
        """Log-likelihood ratio [B] of "warped by the flow" over "not warped" of tiles [T,B,D]."""
        return _density(self._factors(flow), tiles) - _density(self._unwarped, tiles)

    def whitening(self, flow: Tensor) -> Tensor:
        """See `Flow`."""
        factors = torch.stack([self._unwarped, self._factors(flow)])
        inverse: Tensor = torch.linalg.solve_triangular(factors, torch.eye(factors.shape[-1]), upper=False)
        return inverse

    def _factors(self, flow: Tensor) -> Tensor:
        """Cholesky factors [S,T,D,D] of the covariances of warped tiles."""
        mixing = _mixing(flow)
        factors: Tensor = torch.linalg.cholesky(mixing @ self._covariances @ mixing.mT + self._added)
        return factors


def _density(factors: Tensor, tiles: Tensor) -> Tensor:
    whitened = torch.linalg.solve_triangular(factors, tiles.mT.expand(len(factors), -1, -1, -1), upper=False)
    return log_density(whitened, -factors.diagonal(dim1=-2, dim2=-1).log().sum(-1))


def _contrast(windows: Tensor) -> Tensor:
    """Variance [...] of windows [...,d]."""
    return windows.square().mean(-1)


def _covariances(windows: Tensor, shape: tuple[int, int]) -> Tensor:
    """[S,T,d,d] of windows [T,m,d] of this height and width, all brought to one contrast, by sharpness."""
    found = []
    for tile in windows:
        variance = _contrast(tile)
        shows = variance > FAINT
        tile, variance = tile[shows] / variance[shows].sqrt()[:, None], variance[shows]
        sharpness = tile.view(-1, *shape).diff(dim=1).diff(dim=2).square().mean((1, 2))
        parts = tile[sharpness.argsort()].tensor_split(SHARPNESS)
        found.append(torch.stack([part.T @ part / len(part) for part in parts]) * variance.median())
    return torch.stack(found, 1)


def _mixing(flow: Tensor) -> Tensor:
    """How the D values of a tile are mixed from the d of its window by a warp [2,H,W] in pixels: [T,D,d]."""
    height, width = flow.shape[1:]
    (tall, wide), corners = tiling(height, width)

    def weights(along: Tensor, start: int, side: int) -> Tensor:
        """[D,side + margins], of the two pixels along one side between which each value lies."""
        pixels = torch.arange(start - MARGIN, start + side + MARGIN)
        return (1 - (along.flatten()[:, None] - pixels).abs()).clamp_min(0)

    mixing = []
    for row, column in corners:
        right, down = flow[:, row : row + tall, column : column + wide]
        down = (torch.arange(row, row + tall)[:, None] + down).clamp(0, height - 1)
        right = (torch.arange(column, column + wide) + right).clamp(0, width - 1)
        pairs = weights(down, row, tall)[:, :, None] * weights(right, column, wide)[:, None]
        mixing.append(pairs.flatten(1))
    return torch.stack(mixing)
