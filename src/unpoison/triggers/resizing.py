"""What lies on the pixels of images, for images of another size."""

import torch
import torch.nn.functional as F
from torch import Tensor


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Float maps [B,C,H,W] at another size (H, W), bilinearly, as images are resized."""
    return F.interpolate(maps, size, mode="bilinear", antialias=True)


def weights_resized(weights: Tensor, size: tuple[int, int]) -> Tensor:
    """Weights [C,H,W] of the pixels of an image, for images of another size: the same sum as of those resized."""
    down, across = (_matrix(new, old).to(weights) for new, old in zip(size, weights.shape[1:], strict=True))
    out: Tensor = down.T @ weights @ across
    return out


def _matrix(source: int, target: int) -> Tensor:
    """What `resized` does along one side, float [target,source]."""
    return resized(torch.eye(source)[None, None], (target, source))[0, 0]
