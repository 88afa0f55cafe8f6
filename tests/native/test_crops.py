"""The part of an original that a report shows."""

import numpy as np
import pytest

from unpoison.native.crops import cut_out
from unpoison.pictures import CROP

SIZE = (300, 400)


def grey(size=SIZE, channels=3):
    return np.full((*size, channels), 100, np.uint8)


@pytest.mark.parametrize(
    ("top", "left", "side", "corner"),
    [
        (150, 200, 20, (112, 162)),
        (280, 380, 20, (204, 304)),
        (0, 0, 20, (0, 0)),
        (200, 10, 10, (157, 0)),
    ],
)
def test_a_patch_lies_in_the_middle_as_far_as_the_image_reaches(top, left, side, corner):
    before, after = grey(), grey()
    after[top : top + side, left : left + side] = 0
    crop = cut_out(before, after, 3)
    assert (crop.top, crop.left, crop.size) == (*corner, SIZE)
    place = np.s_[crop.top : crop.top + CROP, crop.left : crop.left + CROP]
    np.testing.assert_array_equal(crop.before, before[place])
    np.testing.assert_array_equal(crop.after, after[place])


def test_a_faint_change_everywhere_does_not_hide_the_patch():
    after = grey() + np.random.default_rng(0).integers(0, 3, (*SIZE, 1), dtype=np.uint8)
    after[150:170, 200:220] = 0
    crop = cut_out(grey(), after, 3)
    assert (crop.top, crop.left) == (112, 162)


def test_of_a_pattern_the_strongest_part_is_shown():
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    after = grey() + (60 * np.exp(-((rows - 90) ** 2 + (columns - 250) ** 2) / 2e4)).astype(np.uint8)[..., None]
    crop = cut_out(grey(), after, 3)
    assert abs(crop.top + CROP // 2 - 90) <= 2
    assert abs(crop.left + CROP // 2 - 250) <= 2


def test_a_change_that_is_larger_than_the_crop():
    after = grey()
    after[20:250, 60:320] = 0
    crop = cut_out(grey(), after, 3)
    assert (crop.after == 0).all()


def test_of_smaller_images_there_is_as_much_as_there_is():
    after = grey((50, 200))
    after[:, 180:] = 0
    crop = cut_out(grey((50, 200)), after, 3)
    assert (crop.top, crop.left, crop.size) == (0, 104, (50, 200))
    assert crop.before.shape == crop.after.shape == (50, CROP, 3)


def test_grey_originals_among_coloured_ones():
    after = grey(channels=1)
    after[0, 0] = 0
    crop = cut_out(grey(channels=1), after, 3)
    assert crop.after.shape == (CROP, CROP, 3)
    assert (crop.after[0, 0] == 0).all()
