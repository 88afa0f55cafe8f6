"""What is chosen by the data: size of the network, length of the training, mirroring."""

import numpy as np
import pytest
import torch

from unpoison.context import Context
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detection.choice import choose, mirror_chance
from unpoison.detection.config import DetectionConfig
from unpoison.training.loop import TrainingConfig


@pytest.fixture(scope="module")
def digits():
    digits = load_digits()
    return LabelledImages(digits.images[:1000], digits.labels[:1000])


@pytest.fixture(scope="module")
def symmetric(digits):
    """Every digit or its mirror image, at random: mirroring changes nothing about what they are."""
    mirrored = np.random.default_rng(0).random(len(digits.labels)) < 0.5
    images = np.where(mirrored[:, None, None, None], digits.images[:, :, ::-1], digits.images)
    return images, digits.labels


def test_mirroring_is_off_for_digits(digits):
    choice = choose(DetectionConfig(), digits.images, digits.labels, 10, Context())
    assert not choice.training.flip
    assert "mirroring off" in " ".join(choice.notes)


def test_mirroring_is_on_where_mirror_images_are_the_same(symmetric, digits):
    settings = 10, TrainingConfig(batch_size=32), Context()
    assert mirror_chance(*symmetric, *settings) > 1e-3
    assert mirror_chance(digits.images, digits.labels, *settings) < 1e-9


@pytest.mark.parametrize("count", [2, 5])
def test_images_that_are_their_own_mirror_images_speak_for_nothing(count):
    flat = np.full((count, 8, 8, 3), 100, np.uint8)
    assert mirror_chance(flat, np.arange(count) % 2, 2, TrainingConfig(batch_size=32), Context()) >= 0.5


def test_given_settings_are_kept(digits):
    training = TrainingConfig(epochs=3, flip=True)
    config = DetectionConfig(backbone="resnet18", width=4, training=training)
    choice = choose(config, digits.images, digits.labels, 10, Context())
    assert (choice.backbone, choice.width, choice.training) == ("resnet18", 4, training)
    assert choice.notes == []


def test_size_fits_the_device(digits):
    config = DetectionConfig(training=TrainingConfig())
    on_cpu = choose(config, digits.images, digits.labels, 10, Context())
    on_gpu = choose(config, digits.images, digits.labels, 10, Context(torch.device("cuda")))
    assert (on_cpu.backbone, on_gpu.backbone) == ("resnet9", "resnet18")
    assert on_cpu.width < on_gpu.width
    assert "cpu" in on_cpu.notes[0]


def test_larger_data_gets_fewer_epochs(monkeypatch):
    monkeypatch.setattr("unpoison.detection.choice.mirror_chance", lambda *arguments: 1.0)
    epochs = []
    for n in (100, 15_000, 50_000):
        images = np.zeros((n, 1, 1, 1), np.uint8)
        training = choose(DetectionConfig(), images, np.zeros(n, np.int64), 1, Context()).training
        assert training.flip
        epochs.append(training.epochs)
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > epochs[-1] >= 8
