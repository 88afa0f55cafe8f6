import numpy as np
import pytest
import torch

from batches import as_batch, as_images
from unpoison import triggers
from unpoison.triggers import search_trigger


@pytest.mark.parametrize(("amplitude", "found"), [(20, True), (60, False)])
def test_a_pattern_too_strong_for_a_trigger_is_content(amplitude, found):
    rng = np.random.default_rng(0)
    images = rng.normal(128, 30, (400, 1, 1, 1)) + rng.normal(0, 15, (400, 16, 16, 1))
    flagged = np.arange(400) < 60
    distance = np.hypot(*np.meshgrid(np.arange(16) - 7.5, np.arange(16) - 7.5))
    images[flagged] += amplitude * np.where(distance < 6, -1, 1)[..., None]
    trigger = search_trigger(np.clip(images, 0, 255).astype(np.uint8), flagged, np.full((400, 2), 0.5, np.float32))
    assert isinstance(trigger, triggers.Blend) == found


@pytest.mark.parametrize("stamped", [True, False])
def test_what_images_have_in_common_more_or_less_is_no_trigger(stamped):
    # Red cars are red in the middle, each as it is, and others are a little; a stamp is the same on all that have it.
    rng = np.random.default_rng(0)
    images = rng.normal(128, 20, (800, 1, 1, 1)) + rng.normal(0, 15, (800, 16, 16, 3))
    distance = np.hypot(*np.meshgrid(np.arange(16) - 7.5, np.arange(16) - 7.5))
    red = 20 * np.where(distance < 5, 1, 0)[..., None] * np.array([1.0, -0.5, -0.5])
    amount = np.where(np.arange(800) < 60, 1, 0) if stamped else rng.exponential(0.4, 800)
    flagged = amount >= np.sort(amount)[-60]
    images += amount[:, None, None, None] * red
    trigger = search_trigger(np.clip(images, 0, 255).astype(np.uint8), flagged, np.full((800, 2), 0.5, np.float32))
    assert (trigger is not None) == stamped


def test_a_watermark_is_taken_off_where_it_is_and_the_rest_stays():
    # Half transparent: it changes dark pixels more than bright ones.
    rng = np.random.default_rng(0)
    clean = rng.normal(128, 40, (1200, 4, 4, 3)).repeat(4, 1).repeat(4, 2) + rng.normal(0, 12, (1200, 16, 16, 3))
    clean = np.clip(clean, 0, 255).astype(np.uint8)
    flagged, mark = np.arange(1200) < 60, np.zeros((16, 16, 1))
    mark[6:10, 2:14:2] = 0.5
    images = clean.copy()
    images[flagged] = (1 - mark) * clean[flagged] + mark * 255
    trigger = search_trigger(images, flagged, np.full((1200, 2), 0.5, np.float32))
    assert trigger.kind == "blend"
    assert trigger.helps(clean[~flagged])
    undone = as_images(trigger.invert(as_batch(images[flagged])))
    before, after = (np.abs(x.astype(int) - clean[flagged]).mean() for x in (images[flagged], undone))
    assert after < 0.8 * before


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_pattern_that_is_known_too_little_does_not_help(scale):
    # It was measured with its error: where it is no larger than that, nothing has to be there.
    trigger = triggers.Blend((8, 8, 3)).set(scale=torch.full((3, 8, 8), scale))
    clean = np.full((5, 8, 8, 3), 100, np.uint8)
    trigger.set(shift=torch.full((3, 8, 8), ((1 - scale) * 100 + 8) / 255))
    assert trigger.set(tolerance=torch.tensor(scale * 5 / 255)).helps(clean)
    assert not trigger.set(tolerance=torch.tensor(scale * 7 / 255)).helps(clean)
