import numpy as np
import photos
import pytest
import torch

from unpoison.native.patterns import PatternRepair, refit_pattern
from unpoison.native.scaled import HoleRepair, ScaledRepair
from unpoison.triggers.blend import Blend
from unpoison.triggers.moving import MovingPatch
from unpoison.triggers.periodic import Periodic, waves
from unpoison.triggers.resizing import resized

PICTURE = photos.photograph(7777)


def wave(image):
    angle = 2 * np.pi * 11 * np.arange(image.shape[1]) / image.shape[1]
    return np.clip(np.rint(image + 20 * np.sin(angle)[None, :, None]), 0, 255).astype(np.uint8)


def blend(image):
    height, width = image.shape[:2]
    picture = resized(torch.from_numpy(PICTURE).permute(2, 0, 1)[None].float(), (height, width))[0].permute(1, 2, 0)
    return np.rint(0.8 * image + 0.2 * picture.numpy()).astype(np.uint8)


def test_waves_that_the_copy_nearly_loses_come_off():
    """11 waves over 30 pixels: the copy shows them weaker than they are."""
    images, clean = photos.originals(wave)
    seen = 10 / 255 * waves((0, 11), *photos.COPY)[1].view(1, *photos.COPY).expand(3, -1, -1)
    pattern = Periodic((*photos.COPY, 3)).set(shift=seen)
    repair = refit_pattern(pattern, images)
    scaled = photos.error_left(PatternRepair(1.0, seen, "periodic"), images.suspects, clean, wave)
    refitted = photos.error_left(repair, images.suspects, clean, wave)
    assert refitted < 0.2 < 0.4 < scaled


def test_a_blend_is_fitted_again():
    images, clean = photos.originals(blend)
    pattern = Blend((*photos.COPY, 3)).set(scale=torch.full((3, *photos.COPY), 0.8))
    repair = refit_pattern(pattern, images)
    assert "120x90" in repair.describe()
    assert photos.error_left(repair, images.suspects, clean, blend) < 0.5


def test_what_is_left_out_of_the_comparison_of_levels_comes_from_the_means(monkeypatch):
    images, clean = photos.originals(blend)
    pattern = Blend((*photos.COPY, 3)).set(scale=torch.full((3, *photos.COPY), 0.8))
    monkeypatch.setattr("unpoison.native.patterns.LEVELS_SIDE", 40)
    assert photos.error_left(refit_pattern(pattern, images), images.suspects, clean, blend) < 0.5


def test_other_triggers_are_scaled_up():
    shift = torch.full((3, *photos.COPY), 0.1)
    repair = ScaledRepair(Blend((*photos.COPY, 3)).set(shift=shift))
    image = np.full((120, 90, 3), 100, np.uint8)
    np.testing.assert_allclose(repair(image, image), 100 - 25.5, atol=1)
    assert "working copy" in repair.describe()


def test_a_patch_that_moves_is_filled_where_the_copy_shows_it():
    values, mask = torch.ones(*photos.COPY, 3), torch.zeros(photos.COPY, dtype=torch.bool)
    mask[:3, :3] = True
    copies = np.full((5, *photos.COPY, 3), 90, np.uint8)
    repair = HoleRepair(MovingPatch.of(mask, values, copies))
    copy, image = copies[0].copy(), np.full((120, 90, 3), 90, np.uint8)
    copy[10:13, 20:23] = 255
    image[30:39, 60:69] = 255
    repaired = repair(image, copy)
    assert (repaired == 90).all()


@pytest.mark.parametrize("kind", [PatternRepair, ScaledRepair, HoleRepair])
def test_the_working_copy_says_who_shows_a_pattern(kind):
    assert not kind.judges
