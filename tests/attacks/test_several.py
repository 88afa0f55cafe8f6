"""The four ways of PD-AutoR's section 5.4.7 in which two triggers meet in one dataset."""

import numpy as np
import pytest

from unpoison.attacks import BadNets, Blend, PoisonedDataset

COUNT, RATE = 120, 0.1


def make_pairs():
    images = np.random.default_rng(0).integers(0, 250, (COUNT, 16, 16, 3), dtype=np.uint8)
    return [(image, i % 3) for i, image in enumerate(images)]


CASES = {
    "two patterns of one attack": [BadNets(), BadNets(corner="top left")],
    "two attacks": [Blend(), BadNets()],
}


@pytest.mark.parametrize("attacks", CASES.values(), ids=CASES.keys())
def test_one_trigger_per_image(attacks):
    """Cases 1 and 3."""
    data = PoisonedDataset(make_pairs(), attacks, rate=RATE, target=1)
    assert data.poisoned.sum() == 2 * RATE * COUNT
    stamped_by = [0, 0]
    for index in np.flatnonzero(data.poisoned):
        image, label = data[index]
        matches = [np.array_equal(attack(data.clean[index][0][None])[0], image) for attack in attacks]
        assert sum(matches) == 1
        stamped_by[matches.index(True)] += 1
        assert label == data.targets[index] == 1
    assert stamped_by == [RATE * COUNT, RATE * COUNT]


@pytest.mark.parametrize("attacks", CASES.values(), ids=CASES.keys())
def test_both_triggers_on_every_image(attacks):
    """Cases 2 and 4."""
    data = PoisonedDataset(make_pairs(), attacks, rate=RATE, target=1, overlap=True)
    assert data.poisoned.sum() == RATE * COUNT
    for index in np.flatnonzero(data.poisoned):
        image, label = data[index]
        clean = data.clean[index][0][None]
        np.testing.assert_array_equal(image, attacks[1](attacks[0](clean))[0])
        assert not any(np.array_equal(attack(clean)[0], image) for attack in attacks)
        assert label == data.targets[index] == 1
