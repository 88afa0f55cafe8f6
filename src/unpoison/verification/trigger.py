"""The trigger of our own backdoor (BaB, section 4.1): a solid square where, and in a colour that, no image shows."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import DatasetError

SHARE = 5 / 32
"""Side of the square by default, in sides of the image."""
COLLISION = 0.7
"""Places are left out where images come nearer to the trigger than this part of the distance at the best place."""
_SAMPLE = 2000
_NEAREST = 0.01
"""A place counts by how far this fraction of the images, those nearest to the trigger, still are from it."""


class Trigger(NamedTuple):
    """A solid square."""

    row: int
    """Of its upper left corner, as `column`."""
    column: int
    size: int
    colour: tuple[int, ...]
    """Grey levels 0..255, one per channel."""

    def stamp(self, images: Tensor) -> Tensor:
        """Copies of images [B,H,W,C], uint8 or floats in 0..1, that carry the trigger."""
        colour = torch.tensor(self.colour, dtype=torch.float32, device=images.device)
        out = images.clone()
        rows, columns = slice(self.row, self.row + self.size), slice(self.column, self.column + self.size)
        out[:, rows, columns] = (colour if images.dtype == torch.uint8 else colour / 255).to(images.dtype)
        return out


def choose_triggers(images: npt.NDArray[np.uint8], size: int | None, seed: int) -> list[Trigger]:
    """One trigger per place at the middle of each side, of the colour that the images there are farthest from.

    Corners are left to the attackers, who like them: a trigger that covers theirs would hide it.

    Args:
        images: uint8 [N,H,W,C].
        size: side of the square in pixels; None takes `SHARE` of the image's shorter side.

    Returns:
        One to four triggers.

    Raises:
        DatasetError: the images are smaller than the trigger.
    """
    height, width, channels = images.shape[1:]
    size = size or max(2, round(SHARE * min(height, width)))
    if size > min(height, width):
        raise DatasetError(
            f"a trigger of {size}x{size} pixels does not fit into images of {height}x{width}: lower trigger_size"
        )
    rng = np.random.default_rng(seed)
    sample = images[np.sort(rng.permutation(len(images))[:_SAMPLE])].astype(np.float32)
    middle_row, middle_column = (height - size) // 2, (width - size) // 2
    places = [(0, middle_column), (middle_row, 0), (middle_row, width - size), (height - size, middle_column)]
    found = []
    for row, column in places:
        patch = sample[:, row : row + size, column : column + size]
        distances = {
            colour: float(np.quantile(np.abs(patch - np.array(colour, np.float32)).mean((1, 2, 3)), _NEAREST))
            for colour in _colours(channels)
        }
        colour = max(distances, key=lambda colour: distances[colour])
        found.append((distances[colour], Trigger(row, column, size, colour)))
    best = max(distance for distance, _ in found)
    return [trigger for distance, trigger in found if distance >= COLLISION * best]


def _colours(channels: int) -> list[tuple[int, ...]]:
    """The corners of the colour space: the farthest from what photographs show."""
    grid = np.stack(np.meshgrid(*[[0, 255]] * channels, indexing="ij"), -1).reshape(-1, channels)
    return [tuple(int(level) for level in colour) for colour in grid]
