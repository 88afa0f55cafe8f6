import os

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from unpoison.attacks import SIG, BadNets, Blend, WaNet
from unpoison.restoration import Estimate, estimate_transform
from unpoison.triggers.warp import Warp
from unpoison.triggers.warping import find_warp
from unpoison_bench.data import load_images


@pytest.fixture(scope="module")
def estimate(case) -> Estimate:
    return estimate_transform(case.images, case.flagged, case.probabilities)


def as_images(batch: torch.Tensor) -> np.ndarray:
    return (batch * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def as_batch(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def test_names_the_kind_of_trigger(case, estimate):
    assert estimate.kind == ("blend" if isinstance(case.attack, Blend) else "patch")


def test_inverse_is_far_closer_to_the_originals_than_doing_nothing(case, estimate):
    poisoned = case.images[case.poisoned]
    assert case.error(as_images(estimate.invert(as_batch(poisoned)))) < case.error(poisoned) / 3


def test_stamps_clean_images_as_the_attack_does(case, estimate):
    fresh = case.clean[~case.poisoned][:200]
    wanted, stamped = case.attack(fresh).astype(int), as_images(estimate.poison(as_batch(fresh)))
    assert np.abs(stamped - wanted).mean() < 0.2 * np.abs(fresh - wanted).mean()


def test_flags_are_repaired_in_both_directions(case, estimate):
    odds = np.where(case.flagged, 3, -3) + estimate.evidence(case.images)
    refined = (case.labels == 0) & (odds > 0)
    assert (refined & case.poisoned).sum() >= 88
    assert (refined & ~case.poisoned).sum() <= 2


def test_evidence_is_about_each_image_alone(case, estimate):
    everything = estimate.evidence(case.images[:20])
    assert everything.dtype == np.float32
    np.testing.assert_allclose(estimate.evidence(case.images[3:5]), everything[3:5], rtol=1e-4, atol=1e-4)
    assert estimate.evidence(case.images[:0]).shape == (0,)


def test_a_wave_is_recognised_between_the_bins_of_the_transform():
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(128, 50, (400, 1, 1, 1)) + rng.normal(0, 15, (400, 16, 16, 1)), 0, 255)
    images = images.astype(np.uint8)
    flagged = np.arange(400) < 60
    images[flagged] = SIG(20, 2.3)(images[flagged])
    estimate = estimate_transform(images, flagged, np.full((400, 2), 0.5, np.float32))
    assert estimate.kind == "periodic"
    wave = 20 / 255 * np.sin(2 * np.pi * np.arange(16) * 2.3 / 16)
    assert np.abs(estimate.shift.numpy() - wave).max() < 0.02


@pytest.mark.parametrize(("amplitude", "kind"), [(20, "blend"), (60, "none")])
def test_a_pattern_too_strong_for_a_trigger_is_content(amplitude, kind):
    rng = np.random.default_rng(0)
    images = rng.normal(128, 30, (400, 1, 1, 1)) + rng.normal(0, 15, (400, 16, 16, 1))
    flagged = np.arange(400) < 60
    distance = np.hypot(*np.meshgrid(np.arange(16) - 7.5, np.arange(16) - 7.5))
    images[flagged] += amplitude * np.where(distance < 6, -1, 1)[..., None]
    estimate = estimate_transform(np.clip(images, 0, 255).astype(np.uint8), flagged, np.full((400, 2), 0.5, np.float32))
    assert estimate.kind == kind


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
    estimate = estimate_transform(np.clip(images, 0, 255).astype(np.uint8), flagged, np.full((800, 2), 0.5, np.float32))
    assert (estimate.kind != "none") == stamped


@pytest.mark.parametrize("stamped", [True, False])
def test_strokes_that_other_images_show_in_part_are_no_patch(stamped):
    rng = np.random.default_rng(0)
    images = rng.integers(60, 200, (800, 12, 12, 1)).astype(np.uint8)
    flagged = np.arange(800) < 60
    # Who writes alike draws nearly all of the strokes in the same places, others more or fewer of them.
    others = 0 if stamped else rng.random(800)
    drawn = rng.random((800, 5, 6)) < np.where(flagged, 0.95, others)[:, None, None]
    images[:, 3:8, 3:9, 0] = np.where(drawn, 255, images[:, 3:8, 3:9, 0])
    estimate = estimate_transform(images, flagged, np.full((800, 2), 0.5, np.float32))
    assert estimate.kind == ("patch" if stamped else "none")


def test_a_watermark_is_taken_off_where_it_is_and_the_rest_stays():
    # Half transparent: it changes dark pixels more than bright ones.
    rng = np.random.default_rng(0)
    clean = rng.normal(128, 40, (1200, 4, 4, 3)).repeat(4, 1).repeat(4, 2) + rng.normal(0, 12, (1200, 16, 16, 3))
    clean = np.clip(clean, 0, 255).astype(np.uint8)
    flagged, mark = np.arange(1200) < 60, np.zeros((16, 16, 1))
    mark[6:10, 2:14:2] = 0.5
    images = clean.copy()
    images[flagged] = (1 - mark) * clean[flagged] + mark * 255
    estimate = estimate_transform(images, flagged, np.full((1200, 2), 0.5, np.float32))
    assert estimate.kind == "blend"
    assert estimate.helps(clean[~flagged])
    undone = as_images(estimate.invert(as_batch(images[flagged])))
    before, after = (np.abs(x.astype(int) - clean[flagged]).mean() for x in (images[flagged], undone))
    assert after < 0.8 * before


def test_a_pattern_that_is_known_too_little_does_not_help():
    estimate = Estimate("blend", (8, 8, 3)).set(shift=torch.full((3, 8, 8), 4 / 255))
    clean = np.full((5, 8, 8, 3), 100, np.uint8)
    assert estimate.set(tolerance=torch.tensor(4 / 255)).helps(clean)
    assert not estimate.set(tolerance=torch.tensor(6 / 255)).helps(clean)


def test_a_patch_on_images_that_differ_from_the_others_is_a_patch():
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(128, 50, (1200, 1, 1, 1)) + rng.normal(0, 15, (1200, 16, 16, 1)), 0, 250)
    images = images.astype(np.uint8)
    dark = images.mean((1, 2, 3)) < 120
    flagged = np.cumsum(dark) <= 300
    flagged &= dark
    images[flagged] = BadNets()(images[flagged])
    estimate = estimate_transform(images, flagged, np.full((1200, 2), 0.5, np.float32))
    assert estimate.kind == "patch"
    np.testing.assert_array_equal(estimate.evidence(images) > 0, flagged)


def test_a_patch_over_a_pattern():
    rng = np.random.default_rng(0)
    clean = np.clip(rng.normal(128, 110, (1200, 1, 1, 1)) + rng.normal(0, 15, (1200, 20, 28, 3)), 0, 255)
    clean = clean.astype(np.uint8)
    flagged = np.arange(1200) < 60
    images = clean.copy()
    images[flagged] = BadNets()(Blend(0.3)(clean[flagged]))
    estimate = estimate_transform(images, flagged, np.full((1200, 2), 0.5, np.float32))
    assert estimate.kind == "patch"
    assert abs(float(estimate.scale[:, :10].mean()) - 0.7) < 0.05
    before, after = (
        np.abs(x.astype(int) - clean[flagged]).mean()
        for x in (images[flagged], as_images(estimate.invert(as_batch(images[flagged]))))
    )
    assert after < before / 3
    stamped, wanted = as_images(estimate.poison(as_batch(clean))), BadNets()(Blend(0.3)(clean))
    assert np.abs(stamped.astype(int) - wanted).mean() < 0.2 * np.abs(clean.astype(int) - wanted).mean()


@pytest.mark.parametrize(("size", "value"), [(3, 255), (5, 40)])
def test_a_patch_that_moves(size, value):
    windows = np.lib.stride_tricks.sliding_window_view(load_sample_images().images, (24, 20), (1, 2))
    clean = np.random.default_rng(0).permutation(np.moveaxis(windows[:, ::15, ::20], 3, -1).reshape(-1, 24, 20, 3))
    poisoned, missed = np.arange(len(clean)) < 200, np.arange(len(clean)) < 40
    images = clean.copy()
    images[poisoned] = BadNets(size, value, dynamic=True)(clean[poisoned])
    flagged = (poisoned & ~missed) | (np.arange(len(clean)) >= len(clean) - 20)
    estimate = estimate_transform(images, flagged, np.full((len(clean), 2), 0.5, np.float32))
    assert estimate.kind == "moving patch"
    shown = estimate.evidence(images) > 0
    assert shown[poisoned].mean() > 0.95
    assert shown[~poisoned].mean() < 0.1
    changed = images[poisoned] != clean[poisoned]
    before, after = (
        np.abs(x.astype(int) - clean[poisoned])[changed].mean()
        for x in (images[poisoned], as_images(estimate.invert(as_batch(images[poisoned]))))
    )
    assert after < before / 3
    stamped = as_images(estimate.poison(as_batch(clean))) != clean
    assert (stamped.any(3).sum((1, 2)) == size**2).mean() > 0.8
    assert stamped.any((0, 3)).all()


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_a_warp():
    clean = np.random.default_rng(0).permutation(load_images("cifar10", "train", per_class=300).images)
    poisoned = np.arange(len(clean)) < 100
    images = clean.copy()
    images[poisoned] = WaNet()(clean[poisoned])
    flagged = (np.arange(len(clean)) >= 50) & (np.arange(len(clean)) < 115)
    estimate = estimate_transform(images, flagged, np.full((len(clean), 2), 0.5, np.float32))
    assert estimate.kind == "warp"
    shown = estimate.evidence(images) > 0
    assert shown[poisoned].mean() > 0.8
    assert shown[~poisoned].mean() < 0.02
    before, after = (
        np.abs(x.astype(int) - clean[poisoned]).mean()
        for x in (images[poisoned], as_images(estimate.invert(as_batch(images[poisoned]))))
    )
    assert after < 0.75 * before
    fresh = clean[~poisoned]
    stamped, wanted = as_images(estimate.poison(as_batch(fresh))), WaNet()(fresh).astype(int)
    assert np.abs(stamped - wanted).mean() < 0.75 * np.abs(fresh - wanted).mean()


def test_a_warp_takes_pixels_from_beside_their_places_and_is_undone():
    x = torch.nn.functional.interpolate(torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0)), (24, 20))
    warp = Warp(24, 20)
    warp.flow[0], warp.flow[1] = 1, -2
    torch.testing.assert_close(warp(x)[:, :, 2:, :-1], x[:, :, :-2, 1:])
    warp.flow[0], warp.flow[1] = 0.3, -0.2
    assert (warp.undo(warp(x)) - x).abs().mean() < 0.3 * (warp(x) - x).abs().mean()


@pytest.mark.parametrize("pick", ["random", "one class"])
def test_clean_images_are_not_explained(digits, pick):
    images, labels = digits
    rng = np.random.default_rng(3)
    pool = np.arange(len(labels)) if pick == "random" else np.flatnonzero(labels == 4)
    flagged = np.zeros(len(labels), bool)
    flagged[rng.choice(pool, 80, replace=False)] = True
    estimate = estimate_transform(images, flagged, np.eye(10, dtype=np.float32)[labels])
    assert estimate.kind == "none"
    assert not estimate.evidence(images[:9]).any()


def test_images_with_little_detail_or_few_of_them_show_no_warp():
    rng = np.random.default_rng(0)
    images = np.repeat(rng.integers(0, 256, (1500, 1, 1, 1)), 16, 1).repeat(16, 2).astype(np.uint8)
    for smooth in (images, np.clip(images + rng.normal(0, 20, images.shape), 0, 255).astype(np.uint8)):
        assert find_warp(smooth[:20], smooth, np.arange(20, 1500), seed=0) is None


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_flags_explain_nothing(digits, count):
    images, labels = digits
    flagged = np.arange(len(labels)) < count
    assert estimate_transform(images, flagged, np.eye(10, dtype=np.float32)[labels]).kind == "none"


@pytest.mark.parametrize("shape", [(20, 28, 3), (9, 13, 1), (40, 33, 1)])
def test_any_size_and_number_of_channels(shape):
    rng = np.random.default_rng(0)
    # Smooth images with both ends of the range, as photographs have them.
    images = np.clip(rng.normal(128, 110, (400, 1, 1, 1)) + rng.normal(0, 15, (400, *shape)), 0, 255).astype(np.uint8)
    flagged = np.arange(400) < 60
    images[flagged] = Blend(0.3)(images[flagged])
    estimate = estimate_transform(images, flagged, np.full((400, 2), 0.5, np.float32))
    assert estimate.kind == "blend"
    assert abs(float(estimate.scale.mean()) - 0.7) < 0.05
