import numpy as np
import pytest

from batches import as_batch, as_images
from unpoison.attacks import BadNets, Blend
from unpoison.triggers import Patch, search_trigger


@pytest.mark.parametrize("stamped", [True, False])
def test_strokes_that_other_images_show_in_part_are_no_patch(stamped):
    rng = np.random.default_rng(0)
    images = rng.integers(60, 200, (800, 12, 12, 1)).astype(np.uint8)
    flagged = np.arange(800) < 60
    # Who writes alike draws nearly all of the strokes in the same places, others more or fewer of them.
    others = 0 if stamped else rng.random(800)
    drawn = rng.random((800, 5, 6)) < np.where(flagged, 0.95, others)[:, None, None]
    images[:, 3:8, 3:9, 0] = np.where(drawn, 255, images[:, 3:8, 3:9, 0])
    trigger = search_trigger(images, flagged, np.full((800, 2), 0.5, np.float32))
    assert isinstance(trigger, Patch) == stamped


def test_a_patch_on_images_that_differ_from_the_others_is_a_patch():
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(128, 50, (1200, 1, 1, 1)) + rng.normal(0, 15, (1200, 16, 16, 1)), 0, 250)
    images = images.astype(np.uint8)
    dark = images.mean((1, 2, 3)) < 120
    flagged = np.cumsum(dark) <= 300
    flagged &= dark
    images[flagged] = BadNets()(images[flagged])
    trigger = search_trigger(images, flagged, np.full((1200, 2), 0.5, np.float32))
    assert trigger.kind == "patch"
    np.testing.assert_array_equal(trigger.evidence(images) > 0, flagged)


def test_a_patch_over_a_pattern():
    rng = np.random.default_rng(0)
    clean = np.clip(rng.normal(128, 110, (1200, 1, 1, 1)) + rng.normal(0, 15, (1200, 20, 28, 3)), 0, 255)
    clean = clean.astype(np.uint8)
    flagged = np.arange(1200) < 60
    images = clean.copy()
    images[flagged] = BadNets()(Blend(0.3)(clean[flagged]))
    trigger = search_trigger(images, flagged, np.full((1200, 2), 0.5, np.float32))
    assert trigger.kind == "patch"
    assert abs(float(trigger.scale[:, :10].mean()) - 0.7) < 0.05
    before, after = (
        np.abs(x.astype(int) - clean[flagged]).mean()
        for x in (images[flagged], as_images(trigger.invert(as_batch(images[flagged]))))
    )
    assert after < before / 3
    stamped, wanted = as_images(trigger.stamp(as_batch(clean))), BadNets()(Blend(0.3)(clean))
    assert np.abs(stamped.astype(int) - wanted).mean() < 0.2 * np.abs(clean.astype(int) - wanted).mean()
