"""8-bit pixels, uint8 [H,W,C]: in other channels, in another size."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def to_pil(colour: Pixels) -> Image.Image:
    """uint8 [H,W,C] as an "L" or "RGB" image."""
    return Image.fromarray(colour[..., 0] if colour.shape[2] == 1 else colour)


def with_channels(colour: Pixels, channels: int | None) -> Pixels:
    """uint8 [H,W,C] with 1 (grey) or 3 (RGB) channels; as it is when None."""
    if channels is None or channels == colour.shape[2]:
        return colour
    if channels == 3:
        return np.repeat(colour, 3, axis=2)
    return np.array(Image.fromarray(colour).convert("L"))[..., None]


def resize(colour: Pixels, height: int, width: int) -> Pixels:
    """uint8 [H,W,C] at another size, antialiased; the same array where the size agrees."""
    if colour.shape[:2] == (height, width):
        return colour
    return np.array(to_pil(colour).resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, -1)
