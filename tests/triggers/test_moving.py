import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from batches import as_batch, as_images
from unpoison.attacks import BadNets
from unpoison.triggers import search_trigger


@pytest.mark.parametrize(("size", "value"), [(3, 255), (5, 40)])
def test_a_patch_that_moves(size, value):
    windows = np.lib.stride_tricks.sliding_window_view(load_sample_images().images, (24, 20), (1, 2))
    clean = np.random.default_rng(0).permutation(np.moveaxis(windows[:, ::15, ::20], 3, -1).reshape(-1, 24, 20, 3))
    poisoned, missed = np.arange(len(clean)) < 200, np.arange(len(clean)) < 40
    images = clean.copy()
    images[poisoned] = BadNets(size, value, dynamic=True)(clean[poisoned])
    flagged = (poisoned & ~missed) | (np.arange(len(clean)) >= len(clean) - 20)
    trigger = search_trigger(images, flagged, np.full((len(clean), 2), 0.5, np.float32))
    assert trigger.kind == "moving patch"
    shown = trigger.evidence(images) > 0
    assert shown[poisoned].mean() > 0.95
    assert shown[~poisoned].mean() < 0.1
    changed = images[poisoned] != clean[poisoned]
    before, after = (
        np.abs(x.astype(int) - clean[poisoned])[changed].mean()
        for x in (images[poisoned], as_images(trigger.invert(as_batch(images[poisoned]))))
    )
    assert after < before / 3
    torch.manual_seed(0)  # of the places
    stamped = as_images(trigger.stamp(as_batch(clean))) != clean
    assert (stamped.any(3).sum((1, 2)) == size**2).mean() > 0.8
    assert stamped.any((0, 3)).all()
