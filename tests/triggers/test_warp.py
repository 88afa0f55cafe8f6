import os

import numpy as np
import pytest
import torch

from batches import as_batch, as_images
from unpoison.attacks import WaNet
from unpoison.triggers import search_trigger
from unpoison.triggers.flow import Flow
from unpoison.triggers.warp import find_warp
from unpoison_bench.data import load_images


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_a_warp():
    clean = np.random.default_rng(0).permutation(load_images("cifar10", "train", per_class=300).images)
    poisoned = np.arange(len(clean)) < 100
    images = clean.copy()
    images[poisoned] = WaNet()(clean[poisoned])
    flagged = (np.arange(len(clean)) >= 50) & (np.arange(len(clean)) < 115)
    trigger = search_trigger(images, flagged, np.full((len(clean), 2), 0.5, np.float32))
    assert trigger.kind == "warp"
    shown = trigger.evidence(images) > 0
    assert shown[poisoned].mean() > 0.8
    assert shown[~poisoned].mean() < 0.02
    before, after = (
        np.abs(x.astype(int) - clean[poisoned]).mean()
        for x in (images[poisoned], as_images(trigger.invert(as_batch(images[poisoned]))))
    )
    assert after < 0.75 * before
    fresh = clean[~poisoned]
    stamped, wanted = as_images(trigger.stamp(as_batch(fresh))), WaNet()(fresh).astype(int)
    assert np.abs(stamped - wanted).mean() < 0.75 * np.abs(fresh - wanted).mean()


def test_a_warp_takes_pixels_from_beside_their_places_and_is_undone():
    x = torch.nn.functional.interpolate(torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0)), (24, 20))
    warp = Flow(24, 20)
    warp.flow[0], warp.flow[1] = 1, -2
    torch.testing.assert_close(warp(x)[:, :, 2:, :-1], x[:, :, :-2, 1:])
    warp.flow[0], warp.flow[1] = 0.3, -0.2
    assert (warp.undo(warp(x)) - x).abs().mean() < 0.3 * (warp(x) - x).abs().mean()


def test_images_with_little_detail_or_few_of_them_show_no_warp():
    rng = np.random.default_rng(0)
    images = np.repeat(rng.integers(0, 256, (1500, 1, 1, 1)), 16, 1).repeat(16, 2).astype(np.uint8)
    for smooth in (images, np.clip(images + rng.normal(0, 20, images.shape), 0, 255).astype(np.uint8)):
        assert find_warp(smooth[:20], smooth, np.arange(20, 1500), seed=0) is None
