"""The class gate: poison comes from everywhere, natural clusters from next door."""

import math

import numpy as np
import pytest
import torch

from unpoison.detection.gate import evidence, foreign_content, outstanding, resembles, unusual
from unpoison.detection.mixture import Split


def said(predicted, classes=10):
    """Confident probabilities [n,K]."""
    return torch.nn.functional.one_hot(torch.as_tensor(predicted), classes).float()


def test_samples_of_all_classes_are_foreign():
    assert foreign_content(said([1, 2, 3, 4, 5, 6, 7, 8, 9] * 20), 0) > 0.95


def test_a_random_draw_of_few_samples_is_foreign():
    predicted = torch.randint(1, 43, (12,), generator=torch.Generator().manual_seed(0))
    assert foreign_content(said(predicted, 43), 0) > 0.8


def test_neighbour_class_is_not():
    assert foreign_content(said([3] * 100), 5) < 0.2
    assert foreign_content(said([3] * 95 + [4] * 5), 5) < 0.25


def test_own_class_is_not():
    assert foreign_content(said([5] * 100), 5) == 0
    mostly = foreign_content(said([5] * 90 + [0, 1, 2, 3, 4, 6, 7, 8, 9, 0]), 5)
    assert 0 < mostly < 0.15


def test_few_classes_say_less():
    assert foreign_content(said([1] * 50, 2), 0) == pytest.approx(0.25, abs=0.01)
    assert 0 < foreign_content(said([1, 2] * 50, 3), 0) < 0.6


def test_evidence_is_separation_times_foreign_content():
    probabilities = said([1, 2, 3, 4, 5, 6, 7, 8, 9] * 10 + [0] * 90)
    ratio = torch.where(torch.arange(180) < 90, 1.0, -1.0)
    split = Split(ratio, 100.0, 0.5, 8.0)
    assert evidence(split, probabilities, 0) == pytest.approx(8 * foreign_content(probabilities[:90], 0))
    assert evidence(split.swapped(), probabilities, 0) == 0
    assert evidence(Split(-torch.ones(180), 0.0, 0.0, 8.0), probabilities, 0) == 0


def test_evidence_must_stick_out_of_that_of_other_classes():
    others = [1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.3, 0.7, 1.0]
    assert 1.5 < outstanding(others, 0.001) < 2.5
    assert outstanding(others, 0.001) > outstanding(others, 0.01)
    # What is usual in one dataset is much in another.
    assert outstanding([5 * value for value in others], 0.001) == pytest.approx(5 * outstanding(others, 0.001))


def test_the_fewer_the_classes_the_more_evidence_is_needed():
    spread = [0.8, 1.2]
    needed = [outstanding(spread * count, 0.001) for count in (4, 2, 1)]
    assert needed == sorted(needed)
    assert needed[-1] > 30
    assert outstanding([1.0], 0.001) == math.inf


def test_classes_drawn_alike_are_rarely_outstanding():
    rng = np.random.default_rng(0)
    draws = rng.normal(3, 1, (2000, 10))
    alarms = np.mean([row[0] > outstanding(row[1:].tolist(), 0.01) for row in draws])
    assert 0.004 < alarms < 0.018


def test_contradicted_samples_are_unusual_only_where_others_are_not():
    ones = np.ones(10, bool)
    assert unusual(ones, np.arange(100) < 20, 0.001)
    # A verifier that has learned little contradicts most of the others, too.
    assert not unusual(ones, np.arange(100) < 70, 0.001)
    assert not unusual(ones[:3], np.arange(100) < 20, 0.001)


@pytest.mark.parametrize("skill", [0.5, 2.0])
def test_samples_resemble_other_classes_whatever_the_verifier_knows(skill):
    rng = np.random.default_rng(0)
    own, others = rng.normal(skill, 1, 150), rng.normal(0, 1, 600)
    assert resembles(rng.normal(0, 1, 60), own, others, 0.01)
    # Hard samples of the class itself lie between.
    assert not resembles(rng.normal(0.7 * skill, 1, 60), own, others, 0.01)
    assert not resembles(rng.normal(skill, 1, 60), own, others, 0.01)


def test_a_verifier_that_knows_nothing_decides_nothing():
    rng = np.random.default_rng(0)
    alike = [resembles(*(rng.normal(size=count) for count in (40, 100, 400)), 0.01) for _ in range(200)]
    assert np.mean(alike) < 0.04
    assert not resembles(np.zeros(0), np.ones(5), np.ones(5), 0.01)
