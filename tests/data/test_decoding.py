"""Photographs, decoded at a reduced size for the working copy."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image
from torchvision.datasets import ImageFolder

from unpoison.data.access import RawView
from unpoison.data.decoding import OVERSIZE, read_images
from unpoison.data.encoded import Encoded
from unpoison.data.pixels import resize, to_pil
from unpoison.data.surveying import survey
from unpoison.errors import UnreadableError

SIDE = 16


def photograph(height, width, mode="RGB"):
    """Smooth shapes of several sizes."""
    rng = np.random.default_rng(0)
    planes = [rng.integers(0, 256, (side, side, 3), np.uint8) for side in (5, 12)]
    first, second = (to_pil(plane).resize((width, height), Image.Resampling.BICUBIC) for plane in planes)
    return Image.blend(first, second, 0.4).convert(mode)


def encoded(image, form="jpeg", mode=None, *, orientation=None, **options):
    if orientation is not None:
        options["exif"] = image.getexif()
        options["exif"][ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return Encoded(buffer.getvalue(), mode, rotate=orientation is not None)


def copies(image):
    """An image of an item in the working copy, and of what it decodes to at full size, uint8 [h,w,C] each."""
    view = RawView([(image, 0), (image, 0), (image, 1), (image, 1)])
    found = survey(view, max_side=SIDE)
    size = found.working_size
    pixels = np.asarray(image.decode().convert("L" if found.channels == 1 else "RGB"))
    return read_images(view, found, [0], size)[0], resize(pixels.reshape(*pixels.shape[:2], -1), *size)


@pytest.mark.parametrize("size", [(SIDE, SIDE), (100, 90), (2 * OVERSIZE * SIDE - 1, 400)])
def test_small_files_give_what_they_decode_to(size):
    np.testing.assert_array_equal(*copies(encoded(photograph(*size), subsampling=2)))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [None, 3, 6])
def test_large_files_are_decoded_at_a_reduced_size(mode, orientation):
    image = encoded(photograph(530, 1100, mode), orientation=orientation, quality=90)
    reduced = image.decode(OVERSIZE * SIDE)
    assert reduced.size == ((67, 138) if orientation == 6 else (138, 67))
    assert reduced.mode == mode
    copy, full = copies(image)
    assert np.abs(copy.astype(int) - full).max() <= 2


@pytest.mark.parametrize(("form", "mode"), [("png", "RGBA"), ("webp", "RGBA"), ("gif", "P"), ("tiff", "CMYK")])
def test_other_formats_are_decoded_at_their_size(form, mode):
    image = encoded(photograph(300, 200, mode), form)
    assert image.decode(16).size == (200, 300)
    np.testing.assert_array_equal(*copies(image))


def test_what_turns_a_jpeg_file_is_looked_for_before_its_pixels():
    plain, turned = encoded(photograph(60, 40)).data, encoded(photograph(60, 40), orientation=6).data
    assert Encoded(turned, "RGB", rotate=True).may_turn
    assert not Encoded(turned, "RGB").may_turn
    assert not Encoded(plain + b"Exif", "RGB", rotate=True).may_turn
    # What is no usual beginning is searched as a whole: Pillow skips fill bytes, and what it does not know.
    for strange in (b"\xff", b"\xff\xf0", b"\0"):
        assert Encoded(turned[:2] + strange + turned[2:], "RGB", rotate=True).may_turn


def test_a_damaged_large_file_is_an_error():
    data = encoded(photograph(600, 600)).data
    with pytest.raises(UnreadableError, match="truncated"):
        Encoded(data[: len(data) // 2]).decode(64)


def test_the_limit_is_that_of_the_whole_image(monkeypatch):
    image = encoded(photograph(600, 600))
    monkeypatch.setenv("UNPOISON_MAX_PIXELS", "300000")
    with pytest.raises(UnreadableError, match="it has 600 x 600 pixels, more than 300000, which UNPOISON_MAX_PIXELS"):
        image.decode(64)


def test_beyond_the_limit_of_pillow(tmp_path, monkeypatch):
    for number in range(4):
        path = tmp_path / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        photograph(600, 600).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150000)
    words = r"/a/0.jpg\) .* limit of 300000 pixels, which PIL.Image.MAX_IMAGE_PIXELS and UNPOISON_MAX_PIXELS can change"
    with pytest.raises(UnreadableError, match=words):
        survey(RawView(ImageFolder(tmp_path)))
