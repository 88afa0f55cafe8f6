"""What a report shows of originals: the part that repair changed most, at its own size."""

import numpy as np
import scipy

from ..data.pixels import Pixels, with_channels
from ..pictures import CROP, Crop
from .frames import Box, bounds

STRONG = 1 / 2
"""Pixels that change by this much of the most changed one are in the middle of what is shown."""


def cut_out(before: Pixels, after: Pixels, channels: int) -> Crop:
    """Of an original uint8 [H,W,C] before and after repair, with 1 or 3 channels."""
    height, width = before.shape[:2]
    change = (np.maximum(before, after) - np.minimum(before, after)).max(2)
    near = scipy.ndimage.uniform_filter(change, CROP, output=np.float32, mode="constant")
    row, column = divmod(int(near.argmax()), width)
    place = _centred(Box(row, column, 1, 1), (height, width))
    # Of a small change many windows hold all.
    inside = place.of(change)
    strong = bounds(inside >= STRONG * inside.max())
    place = _centred(strong._replace(top=place.top + strong.top, left=place.left + strong.left), (height, width))
    parts = (with_channels(place.of(image), channels).copy() for image in (before, after))
    return Crop(place.top, place.left, (height, width), *parts)


def _centred(box: Box, size: tuple[int, int]) -> Box:
    """As much of an image of this size as is shown, around a smaller box."""
    top, left = box.top - (CROP - box.height) // 2, box.left - (CROP - box.width) // 2
    return Box(top, left, CROP, CROP).within(size)
