"""Which parts of classes the gate takes for poison: figures of clean sets that were once taken for poisoned ones."""

import math

import pytest
import torch

from unpoison.detection.config import DetectionConfig
from unpoison.detection.hypotheses import CLUSTER, CONTRADICTION, SEAM, Hypothesis, best_of, needed_evidence
from unpoison.detection.mixture import Split

CONFIG = DetectionConfig()


def hypothesis(evidence, source=CLUSTER, share=0.3, size=300, contradicted=0.9):
    split = Split(torch.where(torch.arange(size) < share * size, 1.0, -1.0), 100.0, share, 8.0)
    return Hypothesis(split=split, source=source, evidence=evidence, contradicted=contradicted)


def poisoned(classes):
    """The classes, by number, that count as poisoned, of those with these hypotheses each."""
    needed = needed_evidence(classes, CONFIG)
    best = (best_of(options, bars, CONFIG) for options, bars in zip(classes, needed, strict=True))
    return [label for label, found in enumerate(best) if found is not None]


def test_what_is_most_of_a_rare_class_is_no_minority():
    # A rare class of 50 images, of which a verifier that saw 3 of them contradicts the other 47.
    usual = [[hypothesis(value)] for value in (1.0, 1.2, 0.9, 1.1)]
    assert poisoned([*usual, [hypothesis(30.0, share=0.94, size=50)]]) == []
    assert poisoned([*usual, [hypothesis(30.0, share=0.45, size=50)]]) == [4]


def test_a_class_of_five_images_has_no_minority():
    usual = [[hypothesis(value)] for value in (1.0, 1.2, 0.9, 1.1)]
    assert poisoned([*usual, [hypothesis(30.0, share=0.4, size=5)]]) == []


@pytest.mark.parametrize(("evidence", "expected"), [(7.6, []), (30.0, [0])])
def test_hard_samples_of_few_classes_are_hard_in_all_of_them(evidence, expected):
    # Five classes of 300 images: the verifiers contradict what they have not seen of any class.
    others = [[hypothesis(value, CONTRADICTION)] for value in (5.2, 3.4, 2.1, 4.0)]
    assert poisoned([[hypothesis(evidence, CONTRADICTION, share=0.45)], *others]) == expected


def test_what_a_verifier_does_not_contradict_is_no_poison():
    usual = [[hypothesis(value)] for value in (1.0, 1.2, 0.9, 1.1)]
    assert poisoned([*usual, [hypothesis(30.0, contradicted=0.4)]]) == []


def test_several_poisoned_classes_do_not_hide_each_other():
    usual = [[hypothesis(value)] for value in (1.0, 1.2, 0.9, 1.1, 0.8)]
    assert poisoned([*usual, [hypothesis(6.0)], [hypothesis(7.0)], [hypothesis(8.0)]]) == [5, 6, 7]


def test_two_classes_are_too_few_to_compare_unless_the_pixels_speak():
    classes = [[hypothesis(30.0)], [hypothesis(1.0)]]
    assert all(math.isinf(bars[CLUSTER]) for bars in needed_evidence(classes, CONFIG))
    assert poisoned(classes) == []
    assert poisoned([[hypothesis(30.0, SEAM)], [hypothesis(1.0)]]) == [0]


def test_fewer_false_alarms_need_more_evidence():
    classes = [[hypothesis(value)] for value in (1.0, 1.5, 0.7, 1.1, 1.2)]
    rare, frequent = (needed_evidence(classes, DetectionConfig(false_alarms=rate))[0][CLUSTER] for rate in (0.001, 0.1))
    assert rare > frequent
