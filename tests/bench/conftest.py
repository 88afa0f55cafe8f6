"""A small network that learned a backdoor, and a made-up cleaning."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from unpoison.attacks import Attack, BadNets, PoisonedDataset
from unpoison.bench.data import LabelledImages
from unpoison.bench.measure import Cleaning
from unpoison.demo import load_digits
from unpoison.report import ClassEvidence, Report
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


@pytest.fixture
def cleaning():
    """Six samples of class 1; 0..3 are poisoned in one pixel and labelled 0; 0 and 1 are restored, 2 is dropped."""
    original = np.full((6, 8, 8, 3), 100, np.uint8)
    given, poisoned = original.copy(), np.arange(6) < 4
    given[:4, 7, 7] = 200
    served = given[[0, 1, 3, 4, 5]].copy()
    served[0, 7, 7], served[1, 7, 7] = 110, 130
    truth, came = np.ones(6, np.int64), np.where(poisoned, 0, 1)
    report = Report(
        score=np.array([9, 8, 7, -1, 5, -2], np.float32),
        flagged=np.array([True, True, True, False, True, False]),
        kind=np.full(6, ""),
        action=np.array(["restore", "restore", "drop", "keep", "restore", "keep"]),
        label=np.array([1, 0, -1, 0, 1, 1]),
        original_label=came,
        quality=np.ones(6, np.float32),
        threshold=0.0,
        classes=[ClassEvidence(label=label, size=3, evidence=0.0, poisoned=label == 0) for label in (0, 1)],
        timings={},
        config={"chosen": {"backbone": "resnet9", "width": 2, "training": {"epochs": 1, "batch_size": 2}}},
        notes=[],
        versions={},
    )
    return Cleaning(
        originals=LabelledImages(original, truth),
        given=LabelledImages(given, came),
        served=LabelledImages(served, report.label[[0, 1, 3, 4, 5]]),
        source_index=np.array([0, 1, 3, 4, 5]),
        poisoned=poisoned,
        report=report,
    )
