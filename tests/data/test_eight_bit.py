"""Images as 8-bit pixels, and back."""

import numpy as np
import pytest
from PIL import Image

from unpoison.data.eight_bit import EightBit, Levels, decode_png, from_eight_bit, to_eight_bit
from unpoison.data.encoded import Encoded
from unpoison.data.images import peak


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "1", "CMYK", "I;16", "I", "F"])
def test_same_pixels_give_the_same_image(mode):
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    image = Image.fromarray(values * np.uint8(1))
    if mode == "I;16":
        image = Image.fromarray(values.astype(np.uint16) * 257)
    elif mode == "1":
        image = Image.fromarray(values > 90)
    else:
        image = (image.convert("RGB") if mode in ("CMYK", "RGBA") else image).convert(mode)
    levels = {"f": Levels(floating=255), "i": Levels(integer=65535 if mode == "I;16" else 255)}.get(peak(image).kind)
    levels = levels or Levels()
    again = from_eight_bit(to_eight_bit(image, levels).colour, image, levels)
    assert again.mode == mode
    assert again.tobytes() == image.tobytes()


def test_palette_images_keep_mode_and_transparency():
    image = Image.effect_noise((16, 16), 60).convert("RGB").quantize(16)
    image.info["transparency"] = 3
    before = to_eight_bit(image, Levels())
    assert before.alpha is not None
    again = from_eight_bit(before.colour, image, Levels())
    assert again.mode == "P"
    assert (to_eight_bit(again, Levels()).alpha == before.alpha).all()


def test_png_is_exact_and_deterministic():
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        colour = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
        alpha = rng.integers(0, 256, (5, 7), dtype=np.uint8)
        for image in (EightBit(colour, None), EightBit(colour, alpha)):
            assert image.png() == image.png()
            np.testing.assert_array_equal(decode_png(image.png()), colour)
            if image.alpha is not None:
                np.testing.assert_array_equal(to_eight_bit(Encoded(image.png()), Levels()).alpha, alpha)
