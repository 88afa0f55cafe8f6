"""What is measured of a row, on made-up cleanings."""

import dataclasses

import numpy as np
import pytest
import torch

from restorers import make_restorer
from unpoison.data.labelled import LabelledImages
from unpoison.detection.choice import Choice
from unpoison.restoration.classifier import Classifier
from unpoison.training.backbones import create_backbone
from unpoison.training.loop import TrainingConfig
from unpoison_bench import cleaned, measure


def test_detection_measures(cleaning):
    found = measure.detection(cleaning.report, cleaning.poisoned)
    assert (found["tpr"], found["fpr"], found["flagged"]) == (0.75, 0.5, 4)
    assert found["average_precision"] == pytest.approx(0.75 + 0.25 * 4 / 5)
    assert (found["restored_share"], found["dropped_share"], found["clean_restored"]) == (0.5, 0.25, 1)
    clean = measure.detection(cleaning.report, np.zeros(6, bool))
    assert (clean["average_precision"], clean["tpr"], clean["restored_share"]) == (None, None, None)


def test_restoration_measures_only_restored_poison(cleaning):
    found = measure.restoration(cleaning)
    assert found["restored_poisoned"] == 2
    assert found["error_changed"] == pytest.approx(20 / 255)
    assert found["error_changed_nothing"] == pytest.approx(100 / 255)
    assert found["error_changed_ratio"] == pytest.approx(0.2)
    assert found["apd"] == pytest.approx(20 / 255 / 64)
    assert found["apd_nothing"] == pytest.approx(100 / 255 / 64)
    # The images are smaller than the window of SSIM.
    assert found["ssim"] is None


def test_image_quality(cleaning):
    # Errors of 10 and 30 in three of 192 values each.
    squared = 3 * (10**2 + 30**2) / (2 * 192)
    assert measure.restoration(cleaning)["psnr"] == pytest.approx(10 * np.log10(255**2 / squared))


def test_label_measures_of_restored_poison(cleaning):
    model = create_backbone("conv5", 3, 10, 2)
    classifier = Classifier(model, Choice("conv5", 2, TrainingConfig(), []))
    found = measure.labels(cleaning, classifier, torch.device("cpu"))
    assert found["lra"] == 0.5
    # Both originals look the same, so C says the same to both.
    assert found["lra_ceiling"] in (0, 1)
    assert found["lra_relative"] == (0.5 if found["lra_ceiling"] else None)
    nothing = dataclasses.replace(cleaning, poisoned=np.zeros(6, bool))
    assert set(measure.labels(nothing, None, torch.device("cpu")).values()) == {None}


def test_cleaning_that_dropped_everything_has_no_restored_images(cleaning):
    report = dataclasses.replace(cleaning.report, action=np.full(6, "drop"), label=np.full(6, -1))
    emptied = dataclasses.replace(
        cleaning,
        served=LabelledImages.of([], cleaning.originals.images.shape[1:]),
        source_index=np.empty(0, np.int64),
        report=report,
    )
    found = measure.restoration(emptied)
    assert found["restored_poisoned"] == 0
    assert (found["apd"], found["psnr"], found["ssim"], found["error_changed"]) == (None, None, None, None)
    assert cleaned.labels(emptied) == {"apd_all": None, "lra_all": None}


def test_clean_pass_measures_trained_restorers_only(cleaning):
    device = torch.device("cpu")
    assert measure.clean_pass(cleaning, None, device) == {"restorer_kind": None, "clean_pass_error": None}
    restorer = make_restorer()
    torch.nn.init.constant_(restorer.generator.network.last.bias, 0.1)
    assert 0 < measure.clean_pass(cleaning, restorer, device)["clean_pass_error"] < 1
    restorer.strength.zero_()
    assert measure.clean_pass(cleaning, restorer, device) == {"restorer_kind": "none", "clean_pass_error": None}


def test_json_has_only_finite_plain_values():
    values = measure.plain({"a": float("nan"), "b": [np.float32("inf"), np.int64(3)], "c": (np.bool_(True), None)})
    assert values == {"a": None, "b": [None, 3], "c": [True, None]}
