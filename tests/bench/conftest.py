"""A made-up cleaning, and processes that are none."""

import numpy as np
import pytest

from unpoison.data.labelled import LabelledImages
from unpoison.report import ClassEvidence, Report
from unpoison_bench import processes
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


class AtOnce:
    """Stands for a process; its target runs here when it is started."""

    exitcode = 0
    started = 0
    failing = 0
    """Which one fails, counted from 1."""

    def __init__(self, target, args):
        self.target, self.args = target, args
        self.sentinel = self

    def start(self):
        type(self).started += 1
        if self.started == self.failing:
            self.exitcode = 1
        else:
            self.target(*self.args)

    def join(self):
        pass


@pytest.fixture
def at_once(monkeypatch):
    """Units are measured in this process, one after the other."""
    kind = type("AtOnce", (AtOnce,), {})
    monkeypatch.setattr(processes.multiprocessing.get_context("spawn"), "Process", kind, raising=False)
    monkeypatch.setattr(processes.connection, "wait", lambda sentinels: sentinels)
    monkeypatch.setattr(processes.torch, "set_num_threads", lambda count: None)
    return kind
