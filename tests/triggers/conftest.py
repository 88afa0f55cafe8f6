from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from unpoison.attacks import Attack, BadNets, Blend
from unpoison.demo import load_digits

TARGET = 0


class Poisoned(NamedTuple):
    """Digits of which some carry a trigger, and what a detector said about them."""

    attack: Attack
    clean: npt.NDArray[np.uint8]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    poisoned: npt.NDArray[np.bool_]
    flagged: npt.NDArray[np.bool_]
    probabilities: npt.NDArray[np.float32]

    def error(self, restored: npt.NDArray[np.uint8]) -> float:
        """Mean absolute error, 0..1, in the pixels that the attack changed."""
        changed = self.images[self.poisoned] != self.clean[self.poisoned]
        return float(np.abs(restored.astype(int) - self.clean[self.poisoned])[changed].mean() / 255)


@pytest.fixture(scope="session")
def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    found = load_digits()
    return found.images, found.labels


@pytest.fixture(scope="session", params=["patch", "blend"])
def case(request, digits) -> Poisoned:
    """Two attacks with 22 % false positives among the flags, and 10 % of the poison missed; the content is known."""
    attack = {"patch": BadNets(2), "blend": Blend(seed=1)}[request.param]
    clean, truth = digits
    rng = np.random.default_rng(0)
    index = rng.choice(np.flatnonzero(truth != TARGET), 90, replace=False)
    false = rng.choice(np.flatnonzero(truth == TARGET), 25, replace=False)
    images, labels = clean.copy(), truth.copy()
    images[index], labels[index] = attack(clean[index]), TARGET
    poisoned = np.isin(np.arange(len(truth)), index)
    flagged = poisoned.copy()
    flagged[index[:9]], flagged[false] = False, True
    return Poisoned(attack, clean, images, labels, poisoned, flagged, np.eye(10, dtype=np.float32)[truth])
