"""Which restored images are served, and which are dropped because the trigger still works on them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from unpoison.attacks import BadNets
from unpoison.context import Context
from unpoison.demo import load_digits
from unpoison.detection.choice import Choice
from unpoison.explanation.stamping import share_turned
from unpoison.explanation.verdict import Finding
from unpoison.restoration import FAST
from unpoison.restoration.classifier import Classifier, train_classifier
from unpoison.restoration.repair import Repair, repair
from unpoison.training.backbones import Backbone, create_backbone
from unpoison.training.loop import TrainingConfig, train
from unpoison.triggers import Blend, Trigger, search_trigger

CPU = torch.device("cpu")


class Patched(NamedTuple):
    """1,000 digits of which 60 carry a patch and the label 0, all of them flagged."""

    clean: npt.NDArray[np.uint8]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    flagged: npt.NDArray[np.bool_]
    trigger: Trigger


@pytest.fixture(scope="module")
def patched():
    digits = load_digits()
    clean, truth = digits.images[:1000], digits.labels[:1000]
    index = np.random.default_rng(0).choice(np.flatnonzero(truth != 0), 60, replace=False)
    images, labels, flagged = clean.copy(), truth.copy(), np.zeros(len(truth), bool)
    images[index], labels[index], flagged[index] = BadNets(2)(clean[index]), 0, True
    trigger = search_trigger(images, flagged, np.eye(10, dtype=np.float32)[truth])
    return Patched(clean, images, labels, flagged, trigger)


def learn(images, labels) -> Backbone:
    torch.manual_seed(0)
    model = create_backbone("resnet9", images.shape[3], 10, 16)
    training = TrainingConfig(epochs=25, batch_size=64)
    for _ in train(model, torch.from_numpy(images), torch.from_numpy(labels), training):
        pass
    return model


def turned(model, patched):
    [share] = share_turned(patched.trigger, [model], patched.clean, patched.labels, [0], Context())
    return share


@pytest.fixture(scope="module")
def classifier(patched):
    """Trained on what carries no patch."""
    choice = Choice("resnet9", 16, TrainingConfig(epochs=8, batch_size=64), [])
    model = train_classifier(patched.images, patched.labels, ~patched.flagged, 10, choice, Context())
    return Classifier(model, choice)


def repaired(patched, suspicious, classifier) -> Repair:
    finding = Finding(classes=[0], members=patched.flagged, trigger=patched.trigger)
    return repair(
        patched.images, patched.labels, patched.flagged, [finding], suspicious, classifier, FAST,
        Context(), on_poison="restore", restorer=None,
    )  # fmt: skip


def test_wrong_labels_known_by_heart_do_not_drop_restored_images(patched, classifier):
    """The network never saw the trigger: that it says 0 of the restored images is no sign of one."""
    by_heart = learn(patched.clean, patched.labels)
    assert turned(by_heart, patched) < 0.05
    assert (repaired(patched, by_heart, classifier).action[patched.flagged] == "restore").mean() >= 0.9


def test_trigger_that_works_is_seen_and_removed(patched, classifier):
    backdoored = learn(patched.images, patched.labels)
    assert turned(backdoored, patched) > 0.8
    assert (repaired(patched, backdoored, classifier).action[patched.flagged] == "restore").mean() >= 0.8


def test_trigger_that_is_known_too_little_is_not_taken_off(patched):
    faint = Blend(patched.images.shape[1:])
    faint.set(shift=torch.full_like(faint.shift, 4 / 255), tolerance=torch.tensor(8 / 255))
    finding = Finding(classes=[0], members=patched.flagged, trigger=faint)
    model = create_backbone("conv5", 1, 10, 4)
    choice = Choice("conv5", 4, TrainingConfig(epochs=1), [])
    result = repair(
        patched.images, patched.labels, patched.flagged, [finding], model, Classifier(model, choice), FAST,
        Context(), on_poison="restore", restorer=None,
    )  # fmt: skip
    np.testing.assert_array_equal(result.action == "drop", patched.flagged)
    assert set(result.reason[patched.flagged]) == {"inexact"}
    assert result.restorer is None
    assert result.restored_images.shape == (0, *patched.images.shape[1:])
    assert "known too little" in result.notes[0]
