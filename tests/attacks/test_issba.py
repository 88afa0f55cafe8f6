"""ISSBA: a secret that differs from image to image, cannot be seen and can be read."""

import numpy as np
import pytest

from unpoison.attacks import ISSBA
from unpoison.demo import load_digits
from unpoison.errors import ConfigError

BITS, STEPS = 10, 160


@pytest.fixture(scope="module")
def digits():
    """Grey digits of 16x16 pixels."""
    return load_digits().images.repeat(2, 1).repeat(2, 2)


@pytest.fixture(scope="module")
def attack(digits):
    return ISSBA(bits=BITS, steps=STEPS).fit(digits[:1500])


def test_reads_the_secret_in_unseen_images(attack, digits):
    unseen = digits[1500:]
    assert attack.secret.shape == (BITS,)
    assert 0 < attack.secret.sum() < BITS
    assert (attack.read(attack(unseen)) == attack.secret).mean() >= 0.95
    assert (attack.read(unseen) == attack.secret).mean() < 0.7


def test_changes_little(attack, digits):
    change = attack(digits[1500:]).astype(float) - digits[1500:]
    assert np.abs(change).max() <= 10
    assert 10 * np.log10(255**2 / (change**2).mean(axis=(1, 2, 3)).max()) >= 28


def test_differs_from_image_to_image(attack, digits):
    change = (attack(digits[1500:]).astype(float) - digits[1500:]).reshape(297, -1)
    shared = (change.mean(0) ** 2).sum() / (change**2).sum(1).mean()
    assert shared < 0.9


def test_read_needs_networks(digits):
    with pytest.raises(ConfigError, match="call fit, or give it to a PoisonedDataset"):
        ISSBA().read(digits[:1])


def test_seed_draws_the_secret():
    assert (ISSBA(seed=1).secret != ISSBA(seed=0).secret).any()
    assert (ISSBA(seed=1).secret == ISSBA(seed=1).secret).all()
