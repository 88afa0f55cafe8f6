"""Digits that two attacks were made on, and flags with errors."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unpoison.attacks import Attack, BadNets, Blend
from unpoison.demo import load_digits

TARGET = 0
ATTACKS = {"patch": BadNets(2), "blend": Blend(seed=1)}


class Poisoned(NamedTuple):
    """Digits of which some carry a trigger, and what a detector said about them."""

    attack: Attack
    clean: npt.NDArray[np.uint8]
    images: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    poisoned: npt.NDArray[np.bool_]
    flagged: npt.NDArray[np.bool_]
    probabilities: npt.NDArray[np.float32]
    """Those of the true content, unless a test puts a classifier's in their place."""

    @property
    def changed(self) -> npt.NDArray[np.bool_]:
        return self.images[self.poisoned] != self.clean[self.poisoned]

    def error(self, restored: npt.NDArray[np.uint8]) -> float:
        """Mean absolute error, 0..1, in the pixels that the attack changed."""
        difference = np.abs(restored.astype(int) - self.clean[self.poisoned])
        return float(difference[self.changed].mean() / 255)


def poison(attack: Attack) -> Poisoned:
    """90 of the digits, the same for every attack; 22 % of the flags are false, and 10 % of the poison is missed."""
    digits = load_digits()
    clean, truth = digits.images, digits.labels
    rng = np.random.default_rng(0)
    index = rng.choice(np.flatnonzero(truth != TARGET), 90, replace=False)
    false = rng.choice(np.flatnonzero(truth == TARGET), 25, replace=False)
    images, labels = clean.copy(), truth.copy()
    images[index], labels[index] = attack(clean[index]), TARGET
    poisoned = np.isin(np.arange(len(truth)), index)
    flagged = poisoned.copy()
    flagged[index[:9]], flagged[false] = False, True
    return Poisoned(attack, clean, images, truth, labels, poisoned, flagged, np.eye(10, dtype=np.float32)[truth])
