import numpy as np
import pytest
import torch

from unpoison.triggers import Comparison, Reference
from unpoison.triggers.blend import Blend
from unpoison.triggers.discriminant import Discriminant, Together, one_by_one, scores, standing_out

SIDE, COUNT, CARRIERS = 20, 1200, 60


@pytest.fixture(scope="module")
def centred():
    """Images [N,H,W,C] that are bright around one place or not, all of it together, as centred signs are."""
    rng = np.random.default_rng(0)
    place = np.linspace(-1, 1, SIDE)
    sign = np.exp(-3 * (place[:, None] ** 2 + (place[None] - 0.5) ** 2))[..., None]
    light = rng.normal(0, 40, (COUNT, 1, 1, 1)) * sign
    return np.clip(120 + light + rng.normal(0, 4, (COUNT, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def ramp() -> np.ndarray:
    """A pattern that is brighter towards the right, float64 [1,H,W,1] in grey levels."""
    return np.linspace(0, 9, SIDE)[None, None, :, None]


def reference_of(images):
    return Reference(images, np.ones(len(images), np.int64), images, np.arange(len(images)), np.random.default_rng(0))


def test_what_goes_together_in_clean_images_hides_no_pattern(centred):
    reference = reference_of(centred[: COUNT // 2])
    held_out = centred[COUNT // 2 :]
    carriers = (held_out[:CARRIERS] + ramp()).astype(np.uint8)
    change = reference.spectrum.forward(
        torch.from_numpy(ramp() / 255).float().expand(1, SIDE, SIDE, 3)[0].permute(2, 0, 1)
    )
    direction = Together(change, reference).towards(change)
    shown = standing_out(direction, carriers, reference)
    assert shown.median() > 1.5 * standing_out(one_by_one(change, reference), carriers, reference).median()
    # As far as it was said to be, in images that it has not seen either.
    centre, spread, location, _ = Discriminant.calibrated(direction, shown, reference).calibration
    assert shown.median() == pytest.approx(float((location - centre) / spread), rel=0.01)
    clean = standing_out(direction, held_out[CARRIERS:], reference)
    assert abs(clean.median()) < 0.5
    assert 0.7 < clean.std() < 1.5


def test_counts_an_image_that_was_drawn_twice_once(centred):
    images = centred[:300]
    once = reference_of(images)
    thrice = Reference(images, np.full(len(images), 3), images, np.arange(len(images)), np.random.default_rng(0))
    assert len(thrice.images) == 3 * len(images)
    change = once.spectrum.forward(torch.ones(3, SIDE, SIDE))
    one, other = (Together(change, each).towards(change) for each in (once, thrice))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()))


def test_grey_images_have_no_colours_to_vary():
    grey = np.random.default_rng(0).normal(120, 30, (400, SIDE, SIDE, 1)).clip(0, 255).astype(np.uint8).repeat(3, 3)
    reference = reference_of(grey)
    change = reference.spectrum.forward(torch.tensor([0.02, 0, -0.02])[:, None, None].expand(3, SIDE, SIDE))
    direction = Together(change, reference).towards(change)
    assert direction.isfinite().all()
    assert standing_out(direction, grey, reference).abs().median() < 2


@pytest.mark.parametrize("alike", [True, False])
def test_what_images_have_more_or_less_is_no_trigger_however_sharply_it_is_told(alike):
    rng = np.random.default_rng(0)
    clean = rng.normal(100, 10, (200, 1, 1, 1)) + np.zeros((200, SIDE, SIDE, 3))
    brighter = clean[:50] + (60 if alike else rng.uniform(0, 120, (50, 1, 1, 1)))
    reference = reference_of(clean.astype(np.uint8))
    suspects = brighter.clip(0, 255).astype(np.uint8)
    even = torch.full((3, SIDE, SIDE), 1 / (3 * SIDE * SIDE))
    shown = scores(even, suspects)
    plain = torch.stack([scores(even, reference.images).median(), torch.tensor(0.04), shown.median(), shown.std()])
    sharp = Discriminant(torch.ones(3, SIDE, SIDE), torch.tensor([0.0, 1.0, 20.0, 1.0]))
    found = Blend((SIDE, SIDE, 3)).set(direction=even, calibration=plain)
    found.sharper = sharp
    concluded = found.conclude(Comparison(suspects, reference, 0.02, {}, seed=0))
    assert (concluded is not None) == alike
    if alike:
        assert concluded.direction.equal(sharp.direction)


def test_scores_of_no_images_are_none():
    assert scores(torch.ones(3, SIDE, SIDE), np.empty((0, SIDE, SIDE, 3), np.uint8)).shape == (0,)
