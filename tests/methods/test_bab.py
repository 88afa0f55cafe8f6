"""BaB end to end, on images that need no download."""

import dataclasses
import os

import numpy as np
import pytest
import torch

from unpoison import BaBConfig, Report, SanitizedDataset
from unpoison.attacks import BadNets, Composite, PoisonedDataset
from unpoison.bench.data import LabelledImages, load_images
from unpoison.demo import load_digits
from unpoison.errors import DatasetError
from unpoison.methods.bab import run
from unpoison.progress import Progress
from unpoison.training.loop import TrainingConfig
from unpoison.verification.config import VerificationConfig


@pytest.fixture(scope="module")
def digits():
    return PoisonedDataset(load_digits(), BadNets(size=2), rate=0.1, target=0, seed=1)


def clean(dataset, config, on_poison="drop", seed=0):
    seen = LabelledImages.of(dataset)
    return run(
        seen.images, seen.labels, 10, config=config, on_poison=on_poison, restorer=None, device=torch.device("cpu"),
        seed=seed, progress=Progress(False),
    )  # fmt: skip


@pytest.fixture(scope="module")
def outcome(digits):
    return clean(digits, BaBConfig.preset("fast"))


def test_poison_is_dropped(digits, outcome):
    report = outcome.report
    assert report.flagged[digits.poisoned].mean() > 0.9
    assert report.flagged[~digits.poisoned].mean() < 0.02
    assert (report.action[report.flagged] == "drop").all()
    np.testing.assert_array_equal(report.reason, np.where(report.flagged, "asked", ""))
    assert [entry.classes for entry in outcome.footprints] == [[0]]
    change = outcome.footprints[0].change
    assert change[-2:, -2:].min() > 5 * change[:-2].max()
    assert [entry.label for entry in report.classes if entry.poisoned] == [0]
    assert any("success rates of our own backdoor" in note for note in report.notes)


def test_votes_are_shown_and_kept(digits, outcome, tmp_path):
    votes = outcome.report.votes
    assert votes.shape == (len(digits), 4)
    assert votes[~digits.poisoned].mean() > 0.7
    assert votes[digits.poisoned].mean() < votes[~digits.poisoned].mean() - 0.05
    np.testing.assert_array_equal(Report.load(outcome.report.save(tmp_path)).votes, votes)


def test_poison_is_restored(digits):
    outcome = clean(digits, BaBConfig.preset("fast"), "restore")
    index = outcome.restored_index[digits.poisoned[outcome.restored_index]]
    assert len(index) > 0.5 * digits.poisoned.sum()
    assert (outcome.report.label[index] == digits.clean_label[index]).mean() > 0.9


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_joined_photographs_are_dropped():
    joined = PoisonedDataset(
        load_images("cifar10", "train", per_class=150), Composite(sources=(1, 2)), rate=0.04, target=0
    )
    report = clean(joined, BaBConfig.preset("fast")).report
    assert report.flagged[joined.poisoned].mean() > 0.8
    assert report.flagged[~joined.poisoned].mean() < 0.01
    assert [entry.label for entry in report.classes if entry.poisoned] == [0]


def test_clean_data_is_not_called_clean():
    report = clean(load_digits(), BaBConfig.preset("fast")).report
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


def test_through_the_wrapper(digits):
    # More than half of the target's class is poison.
    served = SanitizedDataset(digits, method="bab", config="fast", max_altered=1, progress=False)
    assert len(served) == (~served.report.flagged).sum()
    assert (~digits.poisoned[served.source_index]).mean() > 0.99


def test_trigger_larger_than_the_images(digits):
    config = BaBConfig()
    verification = dataclasses.replace(config.verification, trigger_size=9)
    with pytest.raises(DatasetError, match="lower trigger_size"):
        clean(digits, dataclasses.replace(config, verification=verification))
