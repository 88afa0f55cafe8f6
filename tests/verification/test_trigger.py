"""Our own trigger: where no image shows it, and stamped without touching the originals."""

import numpy as np
import pytest
import torch

from unpoison.errors import DatasetError
from unpoison.verification.trigger import Trigger, choose_triggers


def black(count=20, size=16, channels=3):
    return np.zeros((count, size, size, channels), np.uint8)


def test_stamp_changes_the_square_alone():
    trigger = Trigger(row=2, column=5, size=3, colour=(255, 0, 255))
    images = torch.full((4, 16, 12, 3), 7, dtype=torch.uint8)
    stamped = trigger.stamp(images)
    assert (images == 7).all()
    assert (stamped[:, 2:5, 5:8] == torch.tensor([255, 0, 255])).all()
    assert (stamped != 7).any(3).sum() == 4 * 9
    assert torch.equal(trigger.stamp(images / 255), stamped / 255)


@pytest.mark.parametrize(("shape", "size"), [((32, 32), 5), ((8, 8), 2), ((64, 128), 10)])
def test_size_follows_the_image(shape, size):
    images = np.zeros((5, *shape, 3), np.uint8)
    for trigger in choose_triggers(images, None, 0):
        assert trigger.size == size
        assert 0 <= trigger.row <= shape[0] - size
        assert 0 <= trigger.column <= shape[1] - size


def test_colour_is_far_from_what_images_show():
    for channels in (1, 3):
        triggers = choose_triggers(black(channels=channels), None, 0)
        assert {trigger.colour for trigger in triggers} == {(255,) * channels}
        assert len({(trigger.row, trigger.column) for trigger in triggers}) == 4


def test_no_place_in_a_corner():
    for trigger in choose_triggers(black(), None, 0):
        assert 0 < trigger.row < 16 - trigger.size or 0 < trigger.column < 16 - trigger.size


def test_places_that_images_fill_in_every_colour_are_left_out():
    images = black(200)
    generator = np.random.default_rng(0)
    images[:, :5] = generator.choice([0, 255], (200, 1, 1, 3)).astype(np.uint8)
    assert all(trigger.row > 0 for trigger in choose_triggers(images, None, 0))


def test_trigger_must_fit():
    with pytest.raises(DatasetError, match="a trigger of 20x20 pixels does not fit into images of 16x16: lower"):
        choose_triggers(black(), 20, 0)
