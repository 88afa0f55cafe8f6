import numpy as np

from batches import as_batch, as_images
from unpoison.attacks import SIG
from unpoison.triggers import search_trigger


def test_a_wave_is_recognised_between_the_bins_of_the_transform():
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(128, 50, (400, 1, 1, 1)) + rng.normal(0, 15, (400, 16, 16, 1)), 0, 255)
    images = images.astype(np.uint8)
    flagged = np.arange(400) < 60
    images[flagged] = SIG(20, 2.3)(images[flagged])
    trigger = search_trigger(images, flagged, np.full((400, 2), 0.5, np.float32))
    assert trigger.kind == "periodic"
    wave = 20 / 255 * np.sin(2 * np.pi * np.arange(16) * 2.3 / 16)
    assert np.abs(trigger.shift.numpy() - wave).max() < 0.02


def test_of_a_smooth_pattern_that_is_no_wave_all_is_taken_off():
    # It looks like long waves, whose amplitudes few images tell badly: images differ by such waves themselves.
    rng = np.random.default_rng(3)
    clean = np.clip(110 + 60 * _smooth(rng, 800, 2) + rng.normal(0, 8, (800, 16, 16, 1)), 0, 255).astype(np.uint8)
    flagged = np.arange(800) < 40
    pattern = _smooth(rng, 1, 1)[0]
    pattern -= pattern.mean()
    images = clean.copy()
    images[flagged] = np.clip(np.rint(clean[flagged] + 12 * pattern / np.abs(pattern).mean()), 0, 255)
    trigger = search_trigger(images, flagged, np.full((800, 2), 0.5, np.float32))
    assert trigger.helps(clean[~flagged])
    undone = as_images(trigger.invert(as_batch(images[flagged])))
    before, after = (np.abs(x.astype(int) - clean[flagged]).mean() for x in (images[flagged], undone))
    assert after < before / 3


def _smooth(rng, count, decay):
    waves = np.cos(np.pi * (np.arange(16)[:, None] + 0.5) * np.arange(4) / 16)
    amount = rng.normal(0, 1, (count, 4, 4)) / (1 + np.arange(4)[:, None] + np.arange(4)) ** decay
    return np.einsum("nij,yi,xj->nyx", amount, waves, waves)[..., None]
