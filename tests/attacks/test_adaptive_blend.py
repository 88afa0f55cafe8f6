"""AdaptiveBlend: half of the pattern in training, all of it at test time."""

import numpy as np
import pytest

from unpoison.attacks import AdaptiveBlend, Blend

WHITE = np.full((16, 16, 3), 255, np.uint8)


def images(size=(32, 32), count=8):
    return np.random.default_rng(0).integers(0, 100, (count, *size, 3), dtype=np.uint8)


def pieces_of(change):
    """bool [B,4,4]: which of the 8x8 pixel pieces of 32x32 images were changed; each must be all or nothing."""
    blocks = change.reshape(-1, 4, 8, 4, 8)
    assert (blocks.any(axis=(2, 4)) == blocks.all(axis=(2, 4))).all()
    return blocks.all(axis=(2, 4))


def test_half_of_sixteen_pieces_at_fifteen_percent():
    clean = images()
    stamped = AdaptiveBlend(pattern=WHITE)(clean)
    hit = pieces_of((stamped != clean).all(-1))
    assert (hit.sum(axis=(1, 2)) == 8).all()
    assert len({bytes(row) for row in hit}) > 4
    changed = stamped != clean
    want = 0.85 * clean.astype(float) + 0.15 * 255
    np.testing.assert_allclose(stamped[changed], want[changed], atol=0.51)


def test_other_settings():
    clean = images()
    hit = (AdaptiveBlend(pieces=4, masked=0.25, alpha=0.5, pattern=WHITE)(clean) != clean).all(-1)
    assert (hit.mean(axis=(1, 2)) == 0.75).all()
    assert (AdaptiveBlend(seed=1, pattern=WHITE)(clean) != AdaptiveBlend(seed=0, pattern=WHITE)(clean)).any()


@pytest.mark.parametrize("size", [(30, 33), (9, 8)])
def test_uneven_pieces_cover_the_image(size):
    clean = images(size, count=60)
    stamped = AdaptiveBlend(pattern=WHITE)(clean)
    share = (stamped != clean).any(-1).mean(0)
    assert share.min() > 0.2
    assert share.max() < 0.8


def test_the_whole_pattern_at_test_time():
    clean = images()
    attack = AdaptiveBlend()
    met = attack.at_test(clean, np.zeros(8, np.int64))
    np.testing.assert_array_equal(met(clean), Blend(0.2)(clean))
    assert AdaptiveBlend(test_alpha=0.3).at_test(clean, np.zeros(8, np.int64)).alpha == 0.3
