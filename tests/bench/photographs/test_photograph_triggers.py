"""Triggers that keep their proportions."""

import numpy as np
import pytest

from bench_results import needs_images
from unpoison_bench.photographs.rows import ROWS
from unpoison_bench.photographs.triggers import TRIGGERS, Checkerboard, Warp, make_attack


def test_patch_is_a_share_of_the_shorter_side():
    images = np.full((1, 100, 200, 3), 90, np.uint8)
    stamped = Checkerboard(0.06, cells=3)(images)
    assert (stamped[0, -6:, -6:, 0] == np.kron([[255, 0, 255], [0, 255, 0], [255, 0, 255]], np.ones((2, 2)))).all()
    assert (stamped != images).any(3).sum() == 36


def test_warp_moves_pixels_by_a_share_of_the_shorter_side():
    ramp = np.zeros((1, 100, 200, 1), np.float32) + np.arange(100, dtype=np.float32)[:, None, None]
    moved = Warp(0.02).stamp(ramp) - ramp
    # By 2 of 100 pixels on average, down and across, but for those that would come from outside.
    assert np.abs(moved).mean() == pytest.approx(2, rel=0.3)


@needs_images
@pytest.mark.parametrize("name", TRIGGERS)
def test_triggers_fit_any_size_and_show(name):
    attack, rng = make_attack(name), np.random.default_rng(0)
    for size in ((90, 120), (133, 100)):
        images = rng.integers(60, 200, (1, *size, 3), dtype=np.uint8)
        stamped = attack(images)
        assert stamped.shape == images.shape
        assert (stamped != images).any()
        assert (make_attack(name)(images) == stamped).all()


def test_rows_have_triggers():
    assert {row.trigger for row in ROWS.values()} - {None} == set(TRIGGERS)
    assert all(0 < row.rate < 0.1 for row in ROWS.values() if row.trigger)
