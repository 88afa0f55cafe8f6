"""Precision-recall curves for JSON."""

import numpy as np
import pytest

from unpoison import metrics
from unpoison_bench.curves import POINTS, curve


def test_curve_is_short_and_keeps_the_area():
    rng = np.random.default_rng(0)
    poisoned = rng.random(5000) < 0.2
    score = (rng.standard_normal(5000) + 2 * poisoned).astype(np.float32)
    found = curve(score, poisoned)
    assert len(found["recall"]) <= POINTS
    assert found["recall"] == sorted(found["recall"])
    assert (found["recall"][0], found["recall"][-1]) == (0, 1)
    area = np.trapezoid(found["precision"], found["recall"])
    assert area == pytest.approx(metrics.average_precision(score, poisoned), abs=0.02)
    assert curve(score, np.zeros(5000, bool)) is None
