"""A made-up cleaning."""

import numpy as np
import pytest

from unpoison.data.labelled import LabelledImages
from unpoison.report import ClassEvidence, Report
from unpoison_bench.measure import Cleaning


@pytest.fixture
def cleaning():
    """Six samples of class 1; 0..3 are poisoned in one pixel and labelled 0; 0 and 1 are restored, 2 is dropped."""
    original = np.full((6, 8, 8, 3), 100, np.uint8)
    given, poisoned = original.copy(), np.arange(6) < 4
    given[:4, 7, 7] = 200
    served = given[[0, 1, 3, 4, 5]].copy()
    served[0, 7, 7], served[1, 7, 7] = 110, 130
    truth, came = np.ones(6, np.int64), np.where(poisoned, 0, 1)
    report = Report(
        score=np.array([9, 8, 7, -1, 5, -2], np.float32),
        flagged=np.array([True, True, True, False, True, False]),
        kind=np.full(6, ""),
        action=np.array(["restore", "restore", "drop", "keep", "restore", "keep"]),
        label=np.array([1, 0, -1, 0, 1, 1]),
        original_label=came,
        quality=np.ones(6, np.float32),
        threshold=0.0,
        classes=[ClassEvidence(label=label, size=3, evidence=0.0, poisoned=label == 0) for label in (0, 1)],
        timings={},
        config={"chosen": {"backbone": "resnet9", "width": 2, "training": {"epochs": 1, "batch_size": 2}}},
        notes=[],
        versions={},
    )
    return Cleaning(
        originals=LabelledImages(original, truth),
        given=LabelledImages(given, came),
        served=LabelledImages(served, report.label[[0, 1, 3, 4, 5]]),
        source_index=np.array([0, 1, 3, 4, 5]),
        poisoned=poisoned,
        report=report,
    )
