from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.datasets import load_digits

from unpoison.attacks import Attack, BadNets, Blend
from unpoison.training.backbones import Backbone, create_backbone
from unpoison.training.loop import TrainingConfig, predict, train

TARGET = 0


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

    @property
    def changed(self) -> npt.NDArray[np.bool_]:
        return self.images[self.poisoned] != self.clean[self.poisoned]

    def error(self, restored: npt.NDArray[np.uint8]) -> float:
        """Mean absolute error, 0..1, in the pixels that the attack changed."""
        difference = np.abs(restored.astype(int) - self.clean[self.poisoned])
        return float(difference[self.changed].mean() / 255)


def fit(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Backbone:
    torch.manual_seed(0)
    model = create_backbone("resnet9", images.shape[3], 10, 8)
    for _ in train(model, torch.from_numpy(images), torch.from_numpy(labels), TrainingConfig(epochs=8, batch_size=64)):
        pass
    return model


@pytest.fixture(scope="session")
def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    bunch = load_digits()
    return np.rint(bunch.images * 255 / 16).astype(np.uint8)[..., None], bunch.target.astype(np.int64)


@pytest.fixture(scope="session")
def picks(digits) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Images that are poisoned, and false positives of the detector."""
    rng = np.random.default_rng(0)
    labels = digits[1]
    return (
        rng.choice(np.flatnonzero(labels != TARGET), 90, replace=False),
        rng.choice(np.flatnonzero(labels == TARGET), 25, replace=False),
    )


@pytest.fixture(scope="session")
def classifier(digits, picks) -> Backbone:
    """Trained on what no attack touches."""
    images, labels = digits
    keep = np.setdiff1d(np.arange(len(labels)), picks[0])
    return fit(images[keep], labels[keep])


@pytest.fixture(scope="session", params=["patch", "blend"])
def case(request, digits, picks, classifier) -> Poisoned:
    """Two attacks with 22 % false positives among the flags, and 10 % of the poison missed."""
    attack = {"patch": BadNets(2), "blend": Blend(seed=1)}[request.param]
    clean, truth = digits
    index, false = picks
    images, labels = clean.copy(), truth.copy()
    images[index], labels[index] = attack(clean[index]), TARGET
    poisoned = np.zeros(len(truth), bool)
    poisoned[index] = True
    flagged = poisoned.copy()
    flagged[index[:9]] = False
    flagged[false] = True
    probabilities = torch.softmax(predict(classifier, torch.from_numpy(images)).logits, 1).numpy()
    return Poisoned(attack, clean, images, truth, labels, poisoned, flagged, probabilities)


@pytest.fixture(scope="session")
def backdoored(case) -> Backbone:
    return fit(case.images, case.labels)
