"""A small network that learned a backdoor."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from unpoison.attacks import Attack, BadNets, PoisonedDataset
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.training.backbones import Backbone, create_backbone
from unpoison.training.loop import TrainingConfig, predict, train

TARGET = 0


class Victim(NamedTuple):
    """A network, and the digits that it was trained on: 5 % of them carry a white corner and the label 0."""

    model: Backbone
    attack: Attack
    clean: LabelledImages
    given: LabelledImages
    poisoned: npt.NDArray[np.bool_]
    test: LabelledImages
    features: npt.NDArray[np.float32]


@pytest.fixture(scope="session")
def victim() -> Victim:
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.labels))
    test, clean = (LabelledImages(data.images[part], data.labels[part]) for part in (order[:450], order[450:]))
    attack = BadNets(size=2)
    poisoned = PoisonedDataset(clean, attack, rate=0.05, target=TARGET, seed=0)
    given = LabelledImages.of(poisoned)
    torch.manual_seed(0)
    model = create_backbone("resnet9", 1, 10, 8)
    images = torch.from_numpy(given.images)
    for _ in train(model, images, torch.from_numpy(given.labels), TrainingConfig(epochs=15, batch_size=32)):
        pass
    features = predict(model, images).features.numpy()
    return Victim(model, attack, clean, given, poisoned.poisoned, test, features)
