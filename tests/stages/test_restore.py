"""What is flagged after a few were spared."""

import dataclasses

import numpy as np

import twostep
from unpoison.explanation.verdict import Finding
from unpoison.stages.restore import spare


def test_spared_samples_are_not_flagged(images_and_labels):
    images, labels = images_and_labels
    found = twostep.make_found(images, labels)
    first, *others = np.flatnonzero(found.flagged).tolist()
    flagged, [finding] = spare(found, labels, (first, 23))
    assert np.flatnonzero(flagged).tolist() == others
    np.testing.assert_array_equal(finding.members, flagged)
    assert spare(found, labels, tuple(np.flatnonzero(found.flagged).tolist()))[1] == []


def test_findings_lose_the_classes_that_are_spared(images_and_labels):
    images, labels = images_and_labels
    found = twostep.make_found(images, labels)
    members = np.arange(24) < 9
    shared = Finding(classes=[0, 1, 2], members=members, trigger=found.explanation.findings[0].trigger)
    explanation = dataclasses.replace(found.explanation, findings=[shared])
    found = dataclasses.replace(found, explanation=explanation)
    [left] = spare(found, labels, tuple(np.flatnonzero(members & (labels == 1)).tolist()))[1]
    assert left.classes == [0, 2]
    np.testing.assert_array_equal(left.members, members & (labels != 1))
