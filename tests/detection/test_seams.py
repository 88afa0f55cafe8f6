"""Images that are joined from two: their seam is found, whatever they show, and nothing else counts as one."""

import pytest
import torch
import torch.nn.functional as F

from unpoison.detection.seams import BATCH, seam_splits, seams


def scenes(count, side=32, channels=3, seed=0):
    """Smooth random images with a little noise, uint8 [count,side,side,channels]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 5, 5, generator=generator)
    smooth = 255 * F.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    noisy = smooth + 4 * torch.randn(smooth.shape, generator=generator)
    return noisy.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def joined(first, second, cut=14, axis=2):
    """The left or upper part of one and the rest of the other."""
    return torch.cat([first.narrow(axis, 0, cut), second.narrow(axis, cut, second.shape[axis] - cut)], axis)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_joined_images_stand_out(axis, channels):
    first, second = scenes(200, channels=channels), scenes(200, channels=channels, seed=1)
    whole, parts = seams(first), seams(joined(first, second, axis=axis))
    assert (parts > whole.quantile(0.99)).float().mean() > 0.95


def test_cuts_near_the_border_do_not_count():
    first, second = scenes(100), scenes(100, seed=1)
    assert seams(joined(first, second, cut=4)).median() < seams(first).quantile(0.9)


def test_one_image_at_a_time_is_the_same():
    images = scenes(BATCH + 3, side=8)
    found = seams(images)
    assert found.shape == (len(images),)
    torch.testing.assert_close(found[-3:], seams(images[-3:]))


@pytest.mark.parametrize("side", [1, 2, 3])
def test_images_without_a_middle(side):
    assert (seams(torch.zeros(4, side, side, 3, dtype=torch.uint8)) == 0).all()


def test_minority_of_a_class_is_split_off():
    images = scenes(600)
    poisoned = torch.arange(600) < 30
    images[poisoned] = joined(images[poisoned], scenes(30, seed=1))
    label = torch.arange(600) // 300
    found, nothing = seam_splits(images, [label == 0, label == 1])
    inside = found.log_ratio > 0
    assert inside[:30].float().mean() > 0.9
    assert inside[30:].float().mean() < 0.02
    assert 0.08 < found.share < 0.12
    assert nothing is None


def test_a_few_joined_images_are_outliers():
    images = scenes(300)
    images[:5] = joined(images[:5], scenes(5, seed=1))
    assert seam_splits(images, [torch.ones(300, dtype=torch.bool)]) == [None]


def test_constant_images():
    images = torch.full((40, 16, 16, 3), 7, dtype=torch.uint8)
    assert seam_splits(images, [torch.ones(40, dtype=torch.bool)]) == [None]
