"""Both methods' evidence in one verdict."""

import numpy as np

from unpoison.explanation.verdict import Finding
from unpoison.stages.combine import _findings, fuse
from unpoison.triggers import Patch


def test_either_flags_and_both_flag_more():
    first = np.array([4.0, 4.0, -8.0, -8.0, 0.5], np.float32)
    second = np.array([4.0, -8.0, 4.0, -8.0, -8.0], np.float32)
    fused = fuse(first, second)
    assert ((fused > 0) == ((first > 0) | (second > 0))).all()
    assert fused[0] > fused[1] == fused[2] > fused[4] > 0 > fused[3]
    assert fused.dtype == np.float32


def test_order_among_the_unflagged_stays():
    first = np.array([-8.5, -8.0, -1.0], np.float32)
    fused = fuse(first, np.full(3, -8.0, np.float32))
    assert (np.diff(fused) > 0).all()
    assert (fused <= 0).all()


def test_one_finding_per_trigger():
    labels = np.array([0, 0, 1, 1, 2, 2])
    flagged = np.array([True, False, True, True, True, False])
    one, other = (Patch((8, 8, 3)) for _ in range(2))
    nobody = np.zeros(6, bool)
    found = _findings(
        labels,
        flagged,
        [
            Finding(classes=[0], members=nobody, trigger=one),
            Finding(classes=[1], members=nobody, trigger=None),
            Finding(classes=[0, 1], members=nobody, trigger=other),
        ],
    )
    assert [(finding.classes, finding.trigger) for finding in found] == [([0], one), ([1], other), ([2], None)]
    assert (np.sum([finding.members for finding in found], 0) == flagged).all()
