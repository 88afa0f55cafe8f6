"""The class gate: poison comes from everywhere, natural clusters from next door."""

import pytest
import torch

from unpoison.detection.gate import evidence, foreign_content
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
