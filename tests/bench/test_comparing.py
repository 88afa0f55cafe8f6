"""Comparisons as experiments: resuming, and one real run."""

import json

import numpy as np
import pytest

from bench_results import MACHINE, made_up, needs_images
from unpoison import Detector, DetectorConfig, SanitizedDataset, Verdict, detectors
from unpoison.errors import ConfigError, UnpoisonError
from unpoison.training.loop import TrainingConfig
from unpoison.verification.config import VerificationConfig
from unpoison_bench import cleaned, comparing, runs
from unpoison_bench.experiments import get_experiment
from unpoison_bench.runner import run_experiment
from unpoison_bench.runs import Run


def fake(job):
    return made_up()


def test_interrupted_experiment_continues(tmp_path, monkeypatch, at_once):
    at_once.failing = 2
    monkeypatch.setattr(comparing, "images_file", lambda name, split: None)
    monkeypatch.setattr(comparing, "measure_run", fake)
    lines = []
    options = {"scale": "smoke", "out": tmp_path, "seeds": (0, 1)}
    table_9 = get_experiment("pdautor-table9", **options)
    with pytest.raises(UnpoisonError, match="run again to repeat only these"):
        run_experiment(table_9, say=lines.append)
    folder = tmp_path / "smoke-cpu"
    # Two datasets and two seeds, and one of the four failed.
    assert len(list((folder / "runs").iterdir())) == 3
    assert "1 runs are missing" in (folder / "pdautor-table9.md").read_text()
    published = run_experiment(table_9, say=lines.append)
    assert (at_once.started, len(list((folder / "runs").iterdir()))) == (5, 4)
    assert "missing" not in published.text
    assert published.text == (folder / "pdautor-table9.md").read_text()
    assert json.loads((folder / "pdautor-table9.json").read_text()) == json.loads(json.dumps(published.facts))
    assert "3 of 4 are done already, 1 to go" in lines[-2]
    # Another experiment finds the same runs.
    run_experiment(get_experiment("pdautor-table1", **options))
    assert at_once.started == 5
    run_experiment(table_9, force=True)
    assert at_once.started == 9
    run_experiment(table_9, ["cifar*"], force=True)
    assert at_once.started == 11
    with pytest.raises(ConfigError, match="choose among cifar10, gtsrb"):
        run_experiment(table_9, ["svhn"])


@needs_images
@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("detectors", (("detection.training.epochs", 3),)),
        (
            "flags",
            (("detection.training.epochs", 3), ("restoration.min_confidence", 0.0), ("restoration.max_pull", 1e9)),
        ),
        ("bab", (("verification.training.epochs", 2), ("verification.models", 3))),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("fewer_references", "unpatterned", "one_class_searched")
@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_one_real_run(method, changes, monkeypatch):
    if method == "detectors":
        # A run changes no settings of the other methods that it asks.
        small = VerificationConfig(models=2, scouts=0, width=8, training=TrainingConfig(epochs=2, batch_size=32))
        monkeypatch.setattr("unpoison.verification.config.FAST", small)
    run = Run(
        dataset="cifar10", attacks=("badnets",), rate=0.1, part=0.4, method=method, changes=changes,
        false_positives=0.1 if method == "flags" else 0.0, scale="smoke",
    )  # fmt: skip
    result = json.loads(json.dumps(comparing.measure_run((run, "cpu")), allow_nan=False))
    assert result["run"] == runs.plain_fields(run)
    assert (result["samples"], result["poisoned"]) == (200, 20)
    assert result["machine"].keys() >= MACHINE.keys()
    if method == "detectors":
        assert len(result["losses"]["clean"]) == 3
        assert {"pdautor", "bab", "ensemble", "mixture", "svd", "scan"} <= result["detectors"].keys()
        assert result["model"].keys() == {"accuracy", "asr"}
        assert all(0 < entry["average_precision"] <= 1 for entry in result["detectors"].values())
        # Told the rate, the published score flags 1.5 times as many samples as are poisoned.
        assert result["detectors"]["svd"]["flagged"] == 30
        return
    models = {"input", "output", "kept"} | ({"healed"} if method == "bab" else set())
    assert result["downstream"].keys() == models
    assert all(0 <= found["accuracy"] <= 1 for found in result["downstream"].values())
    of_the_paper = [seconds for stage, seconds in result["timings"].items() if stage not in cleaned.FILES]
    assert result["stages"]["total"] == pytest.approx(sum(of_the_paper))
    if method == "bab":
        assert list(result["by_models"]) == ["1", "2", "3"]
        clean = [entry["clean"] for entry in result["by_models"].values()]
        assert clean == sorted(clean, reverse=True)
    else:
        found = result["detection"]
        assert (found["tpr"], found["flagged"], found["clean_restored"] + found["clean_dropped"]) == (1.0, 38, 18)
        assert found["restored_share"] + found["dropped_share"] == 1
        restored = result["restoration"]["restored_poisoned"]
        assert restored == round(20 * found["restored_share"])
        assert bool(result["sheet"]) == bool(restored)


@needs_images
@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
@pytest.mark.filterwarnings("ignore::unpoison.errors.DroppedSamplesWarning")
def test_a_run_that_drops_everything(monkeypatch):
    def detect(features, labels, rate):
        return Verdict(np.ones(len(labels), np.float32), np.ones(len(labels), np.bool_))

    monkeypatch.setattr(detectors, "_REGISTERED", {"all": Detector(name="all", detect=detect, source="nobody")})
    config = DetectorConfig(backbone="conv5", width=2, training=TrainingConfig(epochs=1))
    method = {"method": "all", "config": config}
    monkeypatch.setattr(cleaned, "SanitizedDataset", lambda data, **given: SanitizedDataset(data, **given | method))
    run = Run(dataset="cifar10", attacks=("badnets",), rate=0.1, part=0.4, scale="smoke")
    result = json.loads(json.dumps(comparing.measure_run((run, "cpu")), allow_nan=False))
    assert (result["samples"], result["detection"]["flagged"], result["detection"]["dropped_share"]) == (200, 200, 1)
    assert result["restoration"]["restored_poisoned"] == 0
    assert result["downstream"]["input"]["accuracy"] > 0
    for arm in ("output", "kept"):
        assert result["downstream"][arm] == {"accuracy": None, "asr": None}
