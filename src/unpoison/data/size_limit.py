"""How many pixels an image may have: looked at before anything is decoded."""

import os

from PIL import Image, TiffImagePlugin

from ..errors import ConfigError, UnreadableError

MAX_PIXELS = 1 << 27
"""Of an image, unless the environment variable `UNPOISON_MAX_PIXELS` says otherwise: photographs of 100 megapixels
pass."""


def max_pixels() -> int:
    """Pixels of the largest image that is decoded.

    Raises:
        ConfigError: the environment variable is no number.
    """
    chosen = os.environ.get("UNPOISON_MAX_PIXELS")
    if chosen is None:
        return MAX_PIXELS
    if not chosen.isascii() or not chosen.isdigit():
        raise ConfigError(
            f"UNPOISON_MAX_PIXELS is {chosen!r}: set it to the pixels of the largest image, as in 200000000"
        )
    return int(chosen)


def check_pixels(image: Image.Image) -> None:
    """Looks at the size that a file's header says, before anything is decoded.

    Raises:
        UnreadableError: there are too many pixels.
    """
    check_size(image.size)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A tile may be larger than the image.
        width, length = (image.tag_v2.get(tag) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
        if isinstance(width, int) and isinstance(length, int):
            check_size((width, length))


def check_size(size: tuple[int, int]) -> None:
    """Raises an UnreadableError if (height, width), in any order, are too many pixels."""
    limit = max_pixels()
    if size[0] * size[1] > limit:
        raise UnreadableError(
            f"it has {size[0]} x {size[1]} pixels, more than {limit}, which UNPOISON_MAX_PIXELS can change"
        )
