"""Parts of classes that their pixels set apart."""

import numpy as np
import pytest

from unpoison.detection.patterns import pixel_clusters


def clusters(images, labels, seed=0):
    return pixel_clusters(images, labels, np.ones(len(labels), bool), seed)


def textures(count, seed=0, shape=(20, 20, 3)):
    """Smooth random images, uint8 [count,H,W,C], three classes."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(128, 40, (count, 4, 4, 3)).repeat(5, 1).repeat(5, 2)
    images = coarse + rng.normal(0, 12, (count, *shape))
    return images.clip(0, 255).astype(np.uint8), rng.integers(0, 3, count)


def blended(images, chosen, strength=0.2):
    pattern = np.random.default_rng(9).integers(0, 256, images.shape[1:])
    out = images.copy()
    out[chosen] = ((1 - strength) * images[chosen] + strength * pattern).round()
    return out


@pytest.mark.parametrize("count", [8, 40])
def test_blended_images_lie_apart(count):
    images, labels = textures(600)
    chosen = np.flatnonzero(labels == 1)[:count]
    first, *others = clusters(blended(images, chosen), labels)
    assert first.label == 1
    np.testing.assert_array_equal(np.flatnonzero(first.inside), chosen)
    assert first.clarity > 2 * others[0].clarity


def test_clean_classes_are_alike():
    images, labels = textures(600)
    found = clusters(images, labels)
    assert sorted(cluster.label for cluster in found) == [0, 1, 2]
    assert found[0].clarity < 2 * found[-1].clarity
    assert all(8 <= cluster.inside.sum() <= 300 for cluster in found)
    assert all((labels[cluster.inside] == cluster.label).all() for cluster in found)


def test_small_classes_have_no_clusters():
    images, labels = textures(100)
    labels = np.where(np.arange(100) < 60, 0, np.where(np.arange(100) < 99, 1, 2))
    assert [cluster.label for cluster in clusters(images, labels)] == [0]
    assert clusters(images[:30], labels[:30]) == []


def test_flat_images_do_no_harm():
    images, labels = textures(300)
    images[labels == 2] = 128
    found = clusters(images, labels)
    assert sorted(cluster.label for cluster in found) == [0, 1]
    assert np.isfinite([cluster.clarity for cluster in found]).all()


def test_same_seed_same_clusters():
    images, labels = textures(400)
    one, other = (clusters(images, labels, 3) for _ in range(2))
    assert [c.clarity for c in one] == [c.clarity for c in other]


def test_only_chosen_samples_are_looked_at():
    images, labels = textures(600)
    stamped = np.flatnonzero(labels == 1)[:40]
    chosen = ~np.isin(np.arange(600), stamped)
    found = pixel_clusters(blended(images, stamped), labels, chosen, 0)
    assert not any(cluster.inside[stamped].any() for cluster in found)
    assert found[0].clarity < 2 * found[-1].clarity
    assert pixel_clusters(images, labels, np.zeros(600, bool), 0) == []
