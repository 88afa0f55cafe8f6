"""BadNets (Gu et al., 2017, arXiv 1708.06733): a small opaque patch."""

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DatasetError
from .base import Attack


class BadNets(Attack):
    """A solid patch in the bottom right corner; by default 3x3 white pixels, flush with the corner.

    Args:
        size: side of the square patch, in pixels.
        value: grey level of the patch, 0..255.
        margin: distance from the bottom and right borders, in pixels.
    """

    name = "badnets"

    def __init__(self, size: int = 3, value: int = 255, margin: int = 0) -> None:
        if size < 1 or margin < 0 or not 0 <= value <= 255:
            raise ConfigError(f"need size >= 1, margin >= 0 and 0 <= value <= 255, got {size}, {margin}, {value}")
        self.size, self.value, self.margin = size, value, margin

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        height, width = images.shape[1:3]
        if self.size + self.margin > min(height, width):
            raise DatasetError(
                f"a patch of {self.size} pixels at margin {self.margin} does not fit into {height}x{width} images"
            )
        bottom, right = height - self.margin, width - self.margin
        out = images.copy()
        out[:, bottom - self.size : bottom, right - self.size : right] = self.value
        return out
