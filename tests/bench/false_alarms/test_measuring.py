"""What is measured of a set."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from unpoison_bench.false_alarms import measuring
from unpoison_bench.false_alarms.cases import Case, Draw, Poison
from unpoison_bench.false_alarms.loading import Loaded
from unpoison_bench.false_alarms.tables import page


def test_errors_are_over_whole_images_and_by_kind(cleaning):
    report = dataclasses.replace(cleaning.report, kind=np.array(["backdoor", *["mislabelled"] * 5]))
    data = Loaded(cleaning.originals, cleaning.given, cleaning.poisoned, np.zeros(6, bool), [])
    restored = {place: cleaning.served.images[served] for place, served in ((0, 0), (1, 1), (4, 3))}
    errors = measuring.restored_errors(data, report, restored)
    assert [errors[name]["count"] for name in ("backdoor", "mislabelled", "all", "clean")] == [1, 1, 2, 1]
    assert errors["backdoor"]["error"] == pytest.approx(10 / 255 / 64)
    assert errors["mislabelled"]["error"] == pytest.approx(30 / 255 / 64)
    assert errors["all"]["error_nothing"] == pytest.approx(100 / 255 / 64)
    assert errors["clean"]["error"] == 0


def test_one_tiny_poisoned_set():
    draws = Draw(source="digits", rows=(0, 900), classes=(0, 1, 2, 3), counts=60)
    case = Case(name="tiny", half="develop", draw=draws, poison=Poison(attacks=("badnets",), rate=0.1, target=1))
    job = measuring.Job(case=case, method="pdautor", preset="fast", device="cpu", seed=0, downstream=True)
    measured = json.loads(json.dumps(measuring.measure(job)))
    assert (measured["set"], measured["samples"], measured["classes"], measured["poisoned"]) == ("tiny", 240, 4, 24)
    assert measured["clean"] == 216
    assert measured["clean_flagged"] == round(measured["fpr"] * 216)
    assert measured["restored"]["all"]["count"] == round(measured["restored_share"] * 24)
    for name in ("average_precision", "tpr", "asr_input", "asr_output", "unstamped_input", "accuracy_output"):
        assert 0 <= measured[name] <= 1
    assert measured["asr_input"] > measured["unstamped_input"]
    assert measured["cpu_seconds"] > 0
    assert 0 < sum(measured["timings"].values()) <= measured["wall_seconds"]
    assert measured["machine"]["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert "| tiny | 240 | 4 | 24 |" in page("tiny", [measured], 1)
