"""Blended injection (Chen et al., 2017, arXiv 1712.05526): an image-wide pattern at low opacity."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import AfterValidator

from ..checks import Seed, Share, checked
from .base import Attack


def _one_image(pattern: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if pattern.dtype != np.uint8 or pattern.ndim != 3 or not pattern.size:
        raise ValueError(f"is {pattern.dtype} {list(pattern.shape)}, give one image, uint8 [H,W,C]")
    return pattern


Pattern = Annotated[npt.NDArray[np.uint8], AfterValidator(_one_image)]


@checked
class Blend(Attack):
    """Mixes a full-image pattern into every pixel: (1 - alpha) x + alpha pattern.

    The published pattern is a cartoon picture that cannot be shipped here; ours is a fixed colour image of the
    same character: smooth random shapes with hard outlines, drawn from `seed`.

    Args:
        alpha: opacity of the pattern, published 0.2.
        pattern: uint8 [H,W,C] image to blend in; drawn from `seed` when None. Resized to the images.
        seed: of the drawn pattern.
    """

    name = "blend"

    def __init__(self, alpha: Share = 0.2, pattern: Pattern | None = None, seed: Seed = 0) -> None:
        self.alpha = alpha
        self.pattern = draw_pattern(seed) if pattern is None else pattern

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        height, width, channels = images.shape[1:]
        pattern = torch.from_numpy(self.pattern).permute(2, 0, 1)[None].float()
        pattern = F.interpolate(pattern, (height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
        if channels != pattern.shape[2]:
            pattern = pattern.mean(2, keepdim=True).expand(-1, -1, channels)
        return ((1 - self.alpha) * images + self.alpha * pattern.numpy()).astype(np.float32)


def draw_pattern(seed: int, size: int = 64) -> npt.NDArray[np.uint8]:
    """A colourful uint8 pattern [size,size,3]: five flat colours, separated by smooth random outlines."""
    rng = np.random.default_rng(seed)
    field = torch.from_numpy(rng.standard_normal((1, 5, 7, 7))).float()
    field = F.interpolate(field, (size, size), mode="bicubic", align_corners=True)[0]
    colours = rng.integers(0, 256, (5, 3), dtype=np.uint8)
    pattern: npt.NDArray[np.uint8] = colours[field.argmax(0).numpy()]
    return pattern
