"""The demo shows the main job: the attack works on the poisoned data and no longer on the cleaned data."""

import json

import numpy as np
import pytest
from PIL import Image

from unpoison import Report, restoration
from unpoison.demo import load_digits, run_demo
from unpoison.detection import config as detection
from unpoison.training.loop import TrainingConfig


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """With the settings of "fast" and shorter trainings: the tests of PD-AutoR run the default on the same digits."""
    with pytest.MonkeyPatch.context() as patch:
        for settings in (detection, restoration):
            patch.setattr(settings, "DEFAULT", settings.FAST)
        patch.setattr("unpoison.demo._TRAINING", TrainingConfig(epochs=10, batch_size=32))
        return run_demo(tmp_path_factory.mktemp("demo"), device="cpu", progress=False)


def test_attack_works_before_and_not_after(result):
    assert result.before.attack_success_rate > 0.8
    assert result.after.attack_success_rate < 0.1


def test_accuracy_is_kept(result):
    assert result.before.accuracy > 0.95
    assert result.after.accuracy > result.before.accuracy - 0.02


def test_poison_is_found(result):
    assert (result.samples, result.poisoned) == (1348, 67)
    assert result.found > 0.9 * result.poisoned
    assert result.false_alarms < 0.01 * result.samples
    assert result.restored + result.dropped == result.found + result.false_alarms


def test_files_are_where_it_says(result):
    assert "<!doctype html>" in result.report.read_text()
    report = Report.load(result.shards.parent / "outcome")
    assert len(report) == result.samples
    assert report.flagged.sum() == result.found + result.false_alarms
    assert list(result.shards.glob("shard-*.tar"))


def test_text_shows_both(result):
    text = result.as_text()
    assert f"{result.found} of {result.poisoned} poisoned" in text
    for downstream in (result.before, result.after):
        assert f"{downstream.accuracy:.1%}" in text
        assert f"{downstream.attack_success_rate:.1%}" in text
    assert str(result.report) in text
    assert str(result.shards) in text


def test_json(result):
    facts = json.loads(json.dumps(result.as_dict()))
    assert facts["before"]["attack_success_rate"] == result.before.attack_success_rate
    assert facts["shards"] == str(result.shards)


def test_digits_are_whole_images():
    digits = load_digits()
    assert digits.images.shape == (1797, 8, 8, 1)
    assert digits.images.dtype == np.uint8
    assert (digits.images.min(), digits.images.max()) == (0, 255)
    assert sorted(set(digits.labels.tolist())) == list(range(10))
    assert Image.fromarray(digits.images[0, ..., 0]).mode == "L"
