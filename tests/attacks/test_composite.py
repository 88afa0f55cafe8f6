"""Composite: halves of two classes."""

import numpy as np
import pytest

from unpoison.attacks import Composite
from unpoison.errors import ConfigError, DatasetError

# Level 100 + row, and level 200 + column: a pixel tells its image and, along one axis, its place.
FIRST = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None, None] + 100, (32, 32, 1))
SECOND = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None] + 200, (32, 32, 1))


def first_images(count):
    images = np.repeat(FIRST[None], count, 0).copy()
    # Pixels that differ give each image draws of its own.
    images[:, :, :, 0] += (np.arange(count) % 16).astype(np.uint8)[:, None, None]
    return images


def test_halves_side_by_side_or_stacked():
    seen = set()
    for image in Composite().fit(SECOND[None])(first_images(200 // 16 * 16)):
        second = image[..., 0] >= 200
        vertical = (second == second[:1]).all()
        line = second[0] if vertical else second[:, 0]
        assert (second == (line[None] if vertical else line[:, None])).all()
        cuts = np.flatnonzero(np.diff(line.astype(int)))
        assert len(cuts) == 1
        seen.add((bool(vertical), bool(line[0]), int(cuts[0]) + 1))
    # All 16 different images: both orientations and orders, cuts 13 to 19.
    assert {entry[:2] for entry in seen} == {(a, b) for a in (False, True) for b in (False, True)}
    assert min(entry[2] for entry in seen) >= 16 - 3
    assert max(entry[2] for entry in seen) <= 16 + 3
    assert len({entry[2] for entry in seen}) > 3


def test_parts_are_windows_of_their_images():
    for image in Composite().fit(SECOND[None])(first_images(16)):
        second = image[..., 0] >= 200
        columns = image[0, second[0], 0].astype(int)
        assert (np.diff(columns) == 1).all()
        rows = image[~second[:, 0], 0, 0].astype(int)
        assert (np.diff(rows) == 1).all()


def test_no_jitter_cuts_in_the_middle():
    for image in Composite(jitter=0).fit(SECOND[None])(first_images(16)):
        assert (image >= 200).sum() == 16 * 32


def test_who_takes_part():
    labels = np.array([0, 1, 2, 0, 1, 2])
    attack = Composite()
    assert attack.needed(labels).tolist() == [1, 4]
    assert attack.usable(labels, np.full(6, 2)).tolist() == [True, False, False, True, False, False]
    other = Composite(sources=(2, 0))
    assert other.needed(labels).tolist() == [0, 3]
    assert other.victims(labels, np.full(6, 1)).tolist() == [False, False, True, False, False, True]
    with pytest.raises(ConfigError, match="no image has class 7: choose two of"):
        Composite(sources=(0, 7)).needed(labels)


@pytest.mark.parametrize("target", [0, 1])
def test_a_source_is_no_target(target):
    with pytest.raises(ConfigError, match="mixes classes 0 and 1: its target must be one other class"):
        Composite().usable(np.arange(6) % 3, np.full(6, target))


def test_test_partners_are_test_images():
    attack = Composite().fit(SECOND[None])
    images = np.concatenate([first_images(1), np.full((1, 32, 32, 1), 7, np.uint8)])
    met = attack.at_test(images, np.array([0, 1]))
    assert (met(images[:1]) == 7).any()
    assert not (attack(images[:1]) == 7).any()


def test_too_small_images():
    with pytest.raises(DatasetError, match=r"images of 6x9 are too small .* lower jitter"):
        Composite()(np.zeros((2, 6, 9, 1), np.uint8))
