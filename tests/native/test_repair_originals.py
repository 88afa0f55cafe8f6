"""From a dataset of photographs to what is served: repaired at their own size, and the others as they were."""

import dataclasses

import numpy as np
import photos
import pytest
import torch

from unpoison.context import Context
from unpoison.data.eight_bit import EightBit
from unpoison.native.originals import Originals
from unpoison.native.repair import Repairs, _fitted
from unpoison.native.scaled import HoleRepair, ScaledRepair
from unpoison.restoration import RestorationConfig
from unpoison.triggers import Patch
from unpoison.triggers.blend import Blend


@dataclasses.dataclass(frozen=True)
class Painter:
    judges: bool

    def describe(self):
        return "paint"

    def __call__(self, image, copy):
        return image + np.uint8(1)


@pytest.fixture
def image():
    return EightBit(np.full((12, 10, 3), 7, np.uint8), np.arange(120, dtype=np.uint8).reshape(12, 10))


def copies(change=0):
    before = np.full((6, 5, 3), 7, np.uint8)
    return before, before + np.uint8(change)


def test_without_a_repair_the_change_of_the_copy_is_scaled_up(image):
    repairs = Repairs({}, [], {})
    assert repairs(0, image, *copies()) is None
    assert (repairs(0, image, *copies(3)).colour == 10).all()


def test_a_repair_is_asked_where_the_copy_was_changed(image):
    repairs = Repairs({4: Painter(judges=False)}, [], {})
    assert repairs(4, image, *copies()) is None
    repaired = repairs(4, image, *copies(3))
    assert (repaired.colour == 8).all()
    np.testing.assert_array_equal(repaired.alpha, image.alpha)


def test_a_repair_that_judges_is_always_asked(image):
    repairs = Repairs({4: Painter(judges=True)}, [], {})
    assert (repairs(4, image, *copies()).colour == 8).all()


def test_images_of_the_working_size_are_those_that_were_restored(image):
    repairs = Repairs({4: Painter(judges=True)}, [], {})
    before = image.colour
    assert (repairs(4, image, before, before + np.uint8(9)).colour == 16).all()


def test_grey_images_stay_grey():
    grey = EightBit(np.full((12, 10, 1), 7, np.uint8), None)
    repaired = Repairs({0: Painter(judges=True)}, [], {})(0, grey, *copies())
    assert repaired.colour.shape == (12, 10, 1)
    assert (repaired.colour == 8).all()


@pytest.mark.parametrize("originals", [Originals([], []), Originals([photos.photograph(0)] * 3, [])])
def test_a_few_originals_tell_nothing_and_the_copy_says_what_to_do(originals):
    shape, config, context = (*photos.COPY, 3), RestorationConfig(), Context()
    patch = Patch.covering(torch.ones(photos.COPY, dtype=torch.bool), torch.ones(shape))
    for trigger, kind in ((patch, HoleRepair), (Blend(shape), ScaledRepair)):
        assert isinstance(_fitted(trigger, originals, photos.COPY, config, context), kind)
    assert _fitted(None, originals, photos.COPY, config, context) is None
