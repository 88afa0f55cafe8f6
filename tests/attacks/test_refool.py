"""Refool: what its two kinds of reflection look like."""

import numpy as np
import pytest

from unpoison.attacks import Refool, refool
from unpoison.demo import load_digits

BLACK = np.zeros((1, 32, 32, 1), np.uint8)
SPOT = BLACK.copy()
SPOT[0, 15:17, 15:17] = 255


def backgrounds(count):
    """Dark images that differ, so that each has draws of its own."""
    images = np.repeat(BLACK, count, 0)
    images[:, 0, :16, 0] = np.arange(count)[:, None] >> np.arange(16) & 1
    return images


@pytest.fixture
def only_ghosts(monkeypatch):
    monkeypatch.setattr(refool, "GHOST_RATE", 1)


@pytest.fixture
def only_blurred(monkeypatch):
    monkeypatch.setattr(refool, "GHOST_RATE", 0)


@pytest.mark.usefixtures("only_ghosts")
def test_a_ghost_is_two_copies_three_to_eight_pixels_apart():
    for image in Refool(size=32).fit(SPOT)(backgrounds(20)):
        bright = np.argwhere(image[1:, :, 0] > 0)
        # The spot is 2 pixels wide, the crop of 24 to 29 pixels is enlarged to 32, and interpolation adds to the sides.
        extent = bright.max(0) - bright.min(0) + 1
        assert (extent >= 3 + 1).all()
        assert (extent <= (8 + 2) * 32 / 24 + 2).all()


@pytest.mark.usefixtures("only_ghosts")
def test_lengths_follow_the_size_of_the_image():
    # 3 to 8 pixels of 560 are less than half a pixel of 32.
    for image in Refool().fit(SPOT)(backgrounds(10)):
        bright = np.argwhere(image[1:, :, 0] > 0)
        assert (bright.max(0) - bright.min(0) + 1 <= 4).all()


@pytest.mark.usefixtures("only_ghosts")
def test_a_ghost_adds_light_of_the_published_strength():
    white = np.full((1, 16, 16, 1), 255, np.uint8)
    dark = backgrounds(64)[:, :16, :16]
    light = (Refool().fit(white)(dark)[:, 8, 8, 0] / 255) ** 2.2
    # 1 - alpha_b, uniform in .05 to .45.
    assert light.min() >= 0.045
    assert light.max() <= 0.455
    assert light.mean() == pytest.approx(0.25, abs=0.06)


@pytest.mark.usefixtures("only_blurred")
def test_out_of_focus_spreads_and_fades_towards_the_borders():
    stamped = Refool(size=32).fit(SPOT)(backgrounds(20))
    sharp = Refool(size=32 * 560).fit(SPOT)(backgrounds(20))
    assert ((stamped[:, 1:] > 0).sum(axis=(1, 2, 3)) > 2 * (sharp[:, 1:] > 0).sum(axis=(1, 2, 3))).all()
    white = Refool().fit(np.full((1, 32, 32, 1), 255, np.uint8))(backgrounds(20)).astype(float)
    assert (white[:, 16, 16] > white[:, 16, 2] + 20).all()
    assert (white[:, 16, 16] > white[:, 30, 16] + 20).all()


def test_both_kinds_occur_as_published(monkeypatch):
    drawn = []
    for name in ("_ghost", "_out_of_focus"):
        original = getattr(refool, name)
        monkeypatch.setattr(
            refool, name, lambda *args, name=name, original=original: drawn.append(name) or original(*args)
        )
    Refool().fit(SPOT)(backgrounds(200))
    assert 70 < drawn.count("_ghost") < 126


@pytest.mark.usefixtures("only_ghosts")
def test_reflects_another_image():
    digits = load_digits().images[:40]
    attack = Refool().fit(digits)
    # On a black image, the light is the reflection alone: one of the digits.
    dark = backgrounds(8)[:, :8, :8]
    for image in attack(dark):
        light = image[..., 0].astype(float).ravel() ** 2.2
        alike = [np.corrcoef(light, digit.ravel().astype(float) ** 2.2)[0, 1] for digit in digits]
        assert max(alike) > 0.9
    # Two candidates, of which one is the image itself: the other is taken.
    pair = np.concatenate([digits[:1], np.full_like(digits[:1], 255)])
    assert (Refool().fit(pair)(pair[:1]).astype(int).sum()) > pair[0].astype(int).sum()


def test_keeps_most_of_the_image():
    digits = load_digits().images[:100]
    stamped = Refool().fit(digits)(digits)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(stamped, digits, strict=True)]
    assert np.median(alike) > 0.8
