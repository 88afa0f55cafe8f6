"""WaNet (Nguyen & Tran, ICLR 2021, arXiv 2102.10369): a smooth elastic warp."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import Field

from ..checks import Above0, Seed, checked
from .base import Attack


@checked
class WaNet(Attack):
    """Warps every image by one fixed smooth flow.

    The flow is a k x k grid of uniform noise, divided by its mean absolute value, upsampled bicubically to the
    image and scaled to s pixels on average, as in the paper's section 3.2. The paper's noise mode needs control
    of the training and is left out: this is the data-poisoning variant.

    Args:
        k: side of the control grid, published 4.
        s: strength in units of pixels times two, published 0.5.
        seed: of the control grid.
    """

    name = "wanet"

    def __init__(self, k: Annotated[int, Field(ge=2)] = 4, s: Above0 = 0.5, seed: Seed = 0) -> None:
        self.k, self.s, self.seed = k, s, seed

    def flow(self, height: int, width: int) -> torch.Tensor:
        """The sampling offsets [1,H,W,2], (x, y) in units where the image spans -1..1."""
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.rand(1, 2, self.k, self.k, generator=generator) * 2 - 1
        noise = noise / noise.abs().mean()
        flow = F.interpolate(noise, (height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
        return flow * self.s / torch.tensor([width, height])

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        height, width = images.shape[1:3]
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        grid = (torch.stack([x, y], -1)[None] + self.flow(height, width)).clamp(-1, 1)
        source = torch.from_numpy(images).permute(0, 3, 1, 2)
        warped = F.grid_sample(source, grid.expand(len(images), -1, -1, -1), align_corners=True)
        return warped.permute(0, 2, 3, 1).numpy()
