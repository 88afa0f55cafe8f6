import numpy as np

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
