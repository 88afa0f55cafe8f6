"""BaB end to end, on images that need no download."""

import dataclasses
import os

import numpy as np
import pytest

from on_arrays import cleaned
from unpoison import BaBConfig, Report, SanitizedDataset
from unpoison.attacks import BadNets, Composite, PoisonedDataset
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detection import config as detection
from unpoison.errors import DatasetError
from unpoison.training.loop import TrainingConfig
from unpoison.verification.config import VerificationConfig
from unpoison_bench.data import load_images

pytestmark = pytest.mark.usefixtures("fewer_references")
FAST = BaBConfig.preset("fast")
FAST = dataclasses.replace(FAST, verification=dataclasses.replace(FAST.verification, models=3, scouts=1))
"""Two thirds as many models as the preset trains."""


@pytest.fixture(scope="module")
def digits():
    """1,000 digits, 100 of them with a white corner and labelled 0."""
    every = load_digits()
    some = LabelledImages(every.images[:1000], every.labels[:1000])
    return PoisonedDataset(some, BadNets(size=2), rate=0.1, target=0, seed=1)


def clean(dataset, config):
    seen = LabelledImages.of(dataset)
    return cleaned(seen.images, seen.labels, "bab", config, on_poison="drop")


@pytest.fixture(scope="module")
def wrapped(digits, tmp_path_factory):
    """The digits through the wrapper; what was detected is shared."""
    cache = tmp_path_factory.mktemp("bab")

    def wrap(on_poison):
        # More than half of the target's class is poison.
        return SanitizedDataset(
            digits, method="bab", config=FAST, on_poison=on_poison, max_altered=1, cache_dir=cache, progress=False
        )

    return wrap


def test_poison_is_dropped(digits, wrapped):
    served = wrapped("drop")
    report = served.report
    assert report.flagged[digits.poisoned].mean() > 0.9
    assert report.flagged[~digits.poisoned].mean() < 0.02
    assert (report.action[report.flagged] == "drop").all()
    np.testing.assert_array_equal(report.reason, np.where(report.flagged, "asked", ""))
    [footprint] = report.pictures.footprints
    assert footprint.classes == [0]
    assert footprint.change[-2:, -2:].min() > 5 * footprint.change[:-2].max()
    assert [entry.label for entry in report.classes if entry.poisoned] == [0]
    assert any("success rates of our own backdoor" in note for note in report.notes)
    np.testing.assert_array_equal(served.source_index, np.flatnonzero(~report.flagged))


def test_votes_are_shown_and_kept(digits, wrapped, tmp_path):
    report = wrapped("drop").report
    votes = report.votes
    assert votes.shape == (len(digits), 3)
    assert votes[~digits.poisoned].mean() > 0.7
    assert votes[digits.poisoned].mean() < votes[~digits.poisoned].mean() - 0.05
    np.testing.assert_array_equal(Report.load(report.save(tmp_path)).votes, votes)


def test_poison_is_restored(digits, wrapped, monkeypatch):
    # The classifier of preset "fast".
    monkeypatch.setattr("unpoison.restoration.classifier.DEFAULT", detection.FAST)
    report = wrapped("restore").report
    restored = digits.poisoned & (report.action == "restore")
    assert restored.sum() > 0.5 * digits.poisoned.sum()
    assert (report.label[restored] == digits.clean_label[restored]).mean() > 0.9


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_joined_photographs_are_dropped():
    data = load_images("cifar10", "train", per_class=100)
    few = LabelledImages(data.images[data.labels < 5], data.labels[data.labels < 5])
    joined = PoisonedDataset(few, Composite(sources=(1, 2)), rate=0.06, target=0)
    report = clean(joined, FAST).report
    assert report.flagged[joined.poisoned].mean() > 0.8
    assert report.flagged[~joined.poisoned].mean() < 0.01
    assert [entry.label for entry in report.classes if entry.poisoned] == [0]


def test_clean_data_is_not_called_clean():
    digits = load_digits()
    third = LabelledImages(digits.images[::3], digits.labels[::3])
    report = clean(third, FAST).report
    assert report.flagged.mean() < 0.02
    assert any("not assessable" in note for note in report.notes)


@pytest.mark.parametrize("decision", ["mixture", "unanimous"])
def test_nothing_is_flagged_where_our_backdoor_is_not_learned(digits, decision):
    training = TrainingConfig(epochs=2)
    verification = VerificationConfig(
        decision=decision, models=1, scouts=0, weight=1e-9, success=None, width=8, training=training
    )
    report = clean(digits, BaBConfig(verification=verification)).report
    assert not report.flagged.any()
    assert (report.action == "keep").all()
    assert any("not assessable: no model learned our own backdoor" in note for note in report.notes)


def test_papers_rule(digits):
    paper = BaBConfig.preset("paper")
    training = dataclasses.replace(paper.verification.training, batch_size=32)
    verification = dataclasses.replace(paper.verification, models=2, width=8, training=training)
    report = clean(digits, dataclasses.replace(paper, verification=verification)).report
    assert report.votes.shape == (len(digits), 2)
    np.testing.assert_array_equal(report.flagged, ~report.votes.all(1))


def test_trigger_larger_than_the_images(digits):
    config = BaBConfig()
    verification = dataclasses.replace(config.verification, trigger_size=9)
    with pytest.raises(DatasetError, match="lower trigger_size"):
        clean(digits, dataclasses.replace(config, verification=verification))
