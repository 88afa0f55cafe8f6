import dataclasses

import numpy as np
import photos
import pytest

from unpoison.context import Context
from unpoison.native.patches import refit_patch
from unpoison.restoration import RestorationConfig

CONFIG = RestorationConfig(supervised_steps=0)
CELLS = np.kron(np.random.default_rng(3).integers(0, 2, (4, 4)), np.ones((3, 3))).astype(np.uint8)[..., None] * 255


def at_bottom_right(image):
    stamped = image.copy()
    stamped[-14:-2, -14:-2] = CELLS
    return stamped


def shown_by_the_copy():
    hole = np.zeros(photos.COPY, bool)
    hole[-4:-2, -4:-1] = True
    return hole


@pytest.fixture(scope="module")
def case():
    return photos.originals(at_bottom_right)


@pytest.fixture(scope="module")
def repair(case):
    return refit_patch(shown_by_the_copy(), case[0], CONFIG, Context())


def test_cells_that_the_copy_blurs_are_found_with_their_corner(repair):
    """Images are of several sizes: only from their bottom right it is the same patch in all."""
    assert repair.describe() == "a patch of 12x12 pixels, from the bottom right, in pixels"
    place = repair.window.place((150, 90))
    where = np.argwhere(repair.hole)
    assert (where.min(0) + place[:2] == (136, 76)).all()
    assert len(where) == 144


def test_most_of_the_error_goes(repair, case):
    images, clean = case
    assert photos.error_left(repair, images.suspects, clean, at_bottom_right) < 0.25


def test_no_pixel_outside_of_the_patch_changes(repair, case):
    for image in case[0].suspects:
        changed = (repair(image, image) != image).any(2)
        changed[-14:-2, -14:-2] = False
        assert not changed.any()


def test_images_without_the_patch_stay(repair, case):
    for image in case[0].others[:20]:
        assert repair(image, image) is image


def test_patches_that_grow_with_the_image_are_found():
    """Such as those of attacks that paint first and resize then."""

    def stamp(image):
        height, width = (round(0.1 * side) for side in image.shape[:2])
        stamped = image.copy()
        stamped[height : 2 * height, 2 * width : 3 * width] = (250, 10, 200)
        return stamped

    images, clean = photos.originals(stamp)
    hole = np.zeros(photos.COPY, bool)
    hole[4:8, 6:9] = True
    repair = refit_patch(hole, images, CONFIG, Context())
    assert repair.describe().endswith("at the same share of the size")
    assert photos.error_left(repair, images.suspects, clean, stamp) < 0.3


def test_large_patches_are_filled_at_a_smaller_size(case, monkeypatch):
    monkeypatch.setattr("unpoison.native.patches.FILLED", 16)
    images, clean = case
    repair = refit_patch(shown_by_the_copy(), images, dataclasses.replace(CONFIG, supervised_steps=2), Context())
    assert max(repair.window.size) > 16
    assert (repair.restorer.architecture.height, repair.restorer.architecture.width) == (16, 16)
    assert photos.error_left(repair, images.suspects, clean, at_bottom_right) < 0.3


def test_nothing_is_found_where_nothing_is(case):
    images, _ = photos.originals(lambda image: image, suspects=30, others=60)
    assert refit_patch(shown_by_the_copy(), images, CONFIG, Context()) is None
