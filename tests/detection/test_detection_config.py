"""Wrong settings: one error that lists the choices."""

import pytest

from unpoison.detection.config import DEFAULT, PAPER, DetectionConfig
from unpoison.errors import ConfigError
from unpoison.training.backbones import BACKBONES


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "vgg"}, r"unknown backbone 'vgg': choose one of conv5, resnet18, resnet34, resnet9"),
        ({"outliers": "knn"}, "outliers='knn': should be 'mixture' or 'svd'"),
        ({"width": 0}, "width=0: should be greater than or equal to 1"),
        ({"poison_rate": 0}, "poison_rate=0: should be greater than 0"),
        ({"poison_rate": 0.5}, "poison_rate=0.5: should be less than 0.5"),
        ({"explained_classes": -1}, "explained_classes=-1: should be greater than or equal to 0"),
        ({"causal_rate": 1}, "causal_rate=1: should be less than 1"),
        ({"false_alarms": 0}, "false_alarms=0: should be greater than 0"),
        ({"cluster_evidence": "much"}, "cluster_evidence='much': should be a valid number"),
        ({"training": {"epochs": 3}}, "training={'epochs': 3}: should be an instance of TrainingConfig"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        DetectionConfig(**settings)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_is_a_choice(name):
    assert DetectionConfig(backbone=name).backbone == name


def test_paper_is_the_published_training():
    training = PAPER.training
    assert (PAPER.outliers, PAPER.backbone, PAPER.width) == ("svd", "resnet18", 64)
    assert (training.epochs, training.batch_size, training.learning_rate) == (200, 128, 0.01)
    assert training.schedule == "multistep"


def test_default_leaves_size_and_training_open():
    assert (DEFAULT.backbone, DEFAULT.width, DEFAULT.training) == (None, None, None)
