"""BadNets (Gu et al., 2017, arXiv 1708.06733): a small opaque patch."""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ..checks import Natural, Positive, Seed, Share, checked
from ..errors import DatasetError
from .base import Attack, rng_of

Corner = Literal["bottom right", "bottom left", "top right", "top left"]


@checked
class BadNets(Attack):
    """A solid patch in a corner; by default 3x3 white pixels, flush with the bottom right one.

    With `dynamic` the patch lies elsewhere in every image, as in Salem et al. (2022, arXiv 2003.03675, section 4.1:
    uniformly random positions); theirs has random patterns as well, ours one grey level.

    Args:
        size: side of the square patch: an int in pixels, or a float in 0..1 as a share of each image's shorter side.
        value: grey level of the patch, 0..255.
        margin: distance from the corner's two borders, in pixels.
        corner: "bottom right", "bottom left", "top right" or "top left".
        dynamic: whether the position is drawn for each image, anywhere in it; corner and margin are then unused.
        seed: of these positions.
    """

    name = "badnets"

    def __init__(
        self,
        size: Positive | Share = 3,
        value: Annotated[int, Field(ge=0, le=255)] = 255,
        margin: Natural = 0,
        corner: Corner = "bottom right",
        *,
        dynamic: bool = False,
        seed: Seed = 0,
    ) -> None:
        self.size, self.value, self.margin, self.corner = size, value, margin, corner
        self.dynamic, self.seed = dynamic, seed

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        height, width = images.shape[1:3]
        size = self.size if isinstance(self.size, int) else max(1, round(self.size * min(height, width)))
        down, across = height - size - self.margin, width - size - self.margin
        if min(down, across) < 0:
            raise DatasetError(
                f"a patch of {size} pixels at margin {self.margin} does not fit into {height}x{width} images"
            )
        top, left = down if "bottom" in self.corner else self.margin, across if "right" in self.corner else self.margin
        out = images.copy()
        for image in out:
            if self.dynamic:
                rng = rng_of(image, self.seed)
                top, left = (int(rng.integers(0, side - size, endpoint=True)) for side in (height, width))
            image[top : top + size, left : left + size] = self.value
        return out
