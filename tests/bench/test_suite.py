"""The benchmark: its measures on made-up cleanings, its table, resuming, and one real row."""

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from restorers import make_restorer
from unpoison.cli import main
from unpoison.detection.choice import Choice
from unpoison.errors import ConfigError, UnpoisonError
from unpoison.methods import list_methods
from unpoison.restoration.classifier import Classifier
from unpoison.training.backbones import create_backbone
from unpoison.training.loop import TrainingConfig
from unpoison_bench import measure, processes, suite
from unpoison_bench.machine import machine_facts
from unpoison_bench.rows import METHODS, SUITES, Row, paper_config
from unpoison_bench.table import table

MACHINE = {
    "date": "2026-01-02T03:04:05+00:00", "platform": "Linux", "torch": "2", "unpoison": "0", "cpu_count": 2,
    "torch_threads": 1, "load_average": 0.5, "device_name": "a CPU", "commit": "0123456789abcdef", "dirty": False,
}  # fmt: skip


def a_row(name, **measures):
    settings = {"preset": "default", "per_class": None}
    return {"row": name, "seed": 0, "deviations": [], "machine": MACHINE, "settings": settings, **measures}


def put(folder, row):
    folder.mkdir(exist_ok=True)
    (folder / f"{row['row']}.json").write_text(json.dumps(row))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of results, with images that are there but never read."""
    monkeypatch.setattr(suite, "images_file", lambda name, split: None)
    return tmp_path / "core-cpu-seed0"


def test_every_row_has_a_meaning():
    rows = [Row.named(suite, name) for suite, names in SUITES.items() for name in names]
    assert {row.dataset for row in rows} == {"cifar10", "gtsrb"}
    assert all((row.attacks == ()) == (row.rate == 0) for row in rows)
    assert {row.method for row in rows} == set(METHODS.values()) <= set(list_methods())
    assert Row.named("core", "gtsrb-blend-0.3").rate == pytest.approx(0.003)
    assert Row.named("bab", "cifar10-badnets+blend-50").attacks == ("badnets", "blend")
    limits = {name: Row.named("bab", name).max_altered for name in SUITES["bab"]}
    assert [name for name, most in limits.items() if most == 0.5] == [
        "cifar10-badnets-5", "cifar10-sig-5", "cifar10-clean", "cifar10-badnets-1", "cifar10-blend-1"
    ]  # fmt: skip
    assert set(limits.values()) == {0.5, 1.0}
    paper = Row.named("core", "cifar10-sig-1-paper")
    assert (paper.paper, paper.attacks, paper.default) == (True, ("sig",), "cifar10-sig-1")
    assert Row.named("bab", "cifar10-clean-paper").attacks == ()
    with pytest.raises(ConfigError, match="unknown row"):
        Row.named("core", "mnist-clean")


def test_paper_row_takes_network_and_training_from_the_default():
    training = {"epochs": 9, "batch_size": 32, "flip": False}
    config, deviations = paper_config({"backbone": "resnet18", "width": 8, "training": training})
    assert config.detection.outliers == "svd"
    assert not config.restoration.use_estimate
    assert (config.detection.backbone, config.detection.width) == ("resnet18", 8)
    assert config.detection.training == TrainingConfig(**training)
    assert config.restoration.cyclegan_max_steps == 300
    assert "9 epochs" in deviations[0]
    assert "300 batches" in deviations[1]
    assert paper_config(None)[0].detection.training == TrainingConfig(epochs=15, flip=True)


def test_detection_measures(cleaning):
    found = measure.detection(cleaning.report, cleaning.poisoned)
    assert (found["tpr"], found["fpr"], found["flagged"]) == (0.75, 0.5, 4)
    assert found["average_precision"] == pytest.approx(0.75 + 0.25 * 4 / 5)
    assert (found["restored_share"], found["dropped_share"], found["clean_restored"]) == (0.5, 0.25, 1)
    clean = measure.detection(cleaning.report, np.zeros(6, bool))
    assert (clean["average_precision"], clean["tpr"], clean["restored_share"]) == (None, None, None)


def test_restoration_measures_only_restored_poison(cleaning):
    found = measure.restoration(cleaning)
    assert found["restored_poisoned"] == 2
    assert found["error_changed"] == pytest.approx(20 / 255)
    assert found["error_changed_nothing"] == pytest.approx(100 / 255)
    assert found["error_changed_ratio"] == pytest.approx(0.2)
    assert found["apd"] == pytest.approx(20 / 255 / 64)
    assert found["apd_nothing"] == pytest.approx(100 / 255 / 64)
    # The images are smaller than the window of SSIM.
    assert found["ssim"] is None


def test_image_quality(cleaning):
    # Errors of 10 and 30 in three of 192 values each.
    squared = 3 * (10**2 + 30**2) / (2 * 192)
    assert measure.restoration(cleaning)["psnr"] == pytest.approx(10 * np.log10(255**2 / squared))


def test_label_measures_of_restored_poison(cleaning):
    model = create_backbone("conv5", 3, 10, 2)
    classifier = Classifier(model, Choice("conv5", 2, TrainingConfig(), []))
    found = measure.labels(cleaning, classifier, torch.device("cpu"))
    assert found["lra"] == 0.5
    # Both originals look the same, so C says the same to both.
    assert found["lra_ceiling"] in (0, 1)
    assert found["lra_relative"] == (0.5 if found["lra_ceiling"] else None)
    nothing = dataclasses.replace(cleaning, poisoned=np.zeros(6, bool))
    assert set(measure.labels(nothing, None, torch.device("cpu")).values()) == {None}


def test_clean_pass_measures_trained_restorers_only(cleaning):
    device = torch.device("cpu")
    assert measure.clean_pass(cleaning, None, device) == {"restorer_kind": None, "clean_pass_error": None}
    restorer = make_restorer()
    torch.nn.init.constant_(restorer.generator.network.last.bias, 0.1)
    assert 0 < measure.clean_pass(cleaning, restorer, device)["clean_pass_error"] < 1
    restorer.strength.zero_()
    assert measure.clean_pass(cleaning, restorer, device) == {"restorer_kind": "none", "clean_pass_error": None}


def test_json_has_only_finite_plain_values():
    values = measure.plain({"a": float("nan"), "b": [np.float32("inf"), np.int64(3)], "c": (np.bool_(True), None)})
    assert values == {"a": None, "b": [None, 3], "c": [True, None]}


def test_table_shows_figures_and_gaps():
    first = a_row("cifar10-badnets-1", tpr=0.98765, fpr=0.00012, error_changed=0.03456, asr_input=None)
    second = a_row("cifar10-badnets-1-paper", tpr=0.5) | {"deviations": ["fewer epochs"]}
    text = table("core", [first, second])
    assert "| cifar10-badnets-1 | – | – | – | 98.8 % | 0.01 % | – | – | – |" in text
    assert "0.0346" in text
    assert "- fewer epochs (cifar10-badnets-1-paper)" in text
    assert text.count("commit 0123456789ab;") == 1
    assert "nan" not in text
    assert "None" not in text


def test_finished_rows_are_skipped_and_stand_in_the_table(folder, monkeypatch):
    def started(*arguments):
        raise AssertionError("a finished row was measured again")

    monkeypatch.setattr(processes.multiprocessing, "get_context", started)
    put(folder, a_row("cifar10-clean", fpr=0.25))
    lines = []
    assert suite.run_suite("core", ["cifar10-clean"], folder.parent, say=lines.append) == folder
    assert "| cifar10-clean |" in suite.table_file(folder).read_text()
    assert "1 of 1 rows are done already" in lines[0]
    with pytest.raises(AssertionError, match="measured again"):
        suite.run_suite("core", ["cifar10-clean"], folder.parent, force=True)


def test_command_prints_table_or_json(folder, capsys):
    put(folder, a_row("cifar10-clean", fpr=0.25))
    arguments = ["bench", "core", "--rows", "cifar10-clean", "--out", str(folder.parent)]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert "25.00 %" in shown.out
    assert "rows are done" in shown.err
    assert main([*arguments, "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)[0]["fpr"] == 0.25
    assert not shown.err
    assert main(["bench", "core", "--rows", "nothing"]) == 2


def test_rows_of_other_settings_are_not_mixed(folder):
    put(folder, a_row("cifar10-clean"))
    with pytest.raises(ConfigError, match="--force"):
        suite.run_suite("core", ["cifar10-clean"], folder.parent, preset="fast")


def test_unknown_row_preset_or_device_is_refused(tmp_path):
    for wrong in ({"rows": ["nothing"]}, {"preset": "slow"}, {"device": "abacus"}):
        with pytest.raises(ConfigError):
            suite.run_suite("core", out=tmp_path, **wrong)


needs_images = pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA is unset: no real images")


@needs_images
def test_failed_row_leaves_no_file(tmp_path):
    with pytest.raises(UnpoisonError, match="cifar10-clean failed"):
        suite.run_suite("core", ["cifar10-clean"], tmp_path, preset="fast", per_class=1)
    assert not list(tmp_path.rglob("*.json"))


def test_the_commit_is_that_of_the_code_that_is_measured():
    root = Path(__file__).parents[2]
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("the code is not in a checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert machine_facts(torch.device("cpu"))["commit"] == head.strip()


@needs_images
def test_one_real_row(tmp_path):
    lines = []
    folder = suite.run_suite("core", ["cifar10-wanet-5"], tmp_path, preset="fast", per_class=30, say=lines.append)
    (row,) = suite.read_rows(folder)
    assert (row["samples"], row["poisoned"], row["preset"], row["seed"]) == (300, 15, "fast", 0)
    for name in ("average_precision", "tpr", "fpr", "accuracy_input", "accuracy_output", "asr_input", "asr_output"):
        assert 0 <= row[name] <= 1
    assert row["flagged"] == round(row["tpr"] * 15 + row["fpr"] * 285)
    assert row["restored_poisoned"] == round(row["restored_share"] * 15)
    assert row["peak_memory_mb"] - row["data_memory_mb"] == pytest.approx(row["peak_memory_without_data_mb"])
    assert row["data_memory_mb"] == pytest.approx(300 * 32 * 32 * 3 / 1e6)
    assert 0 < sum(row["timings"].values()) <= row["prepare_seconds"]
    assert row["config"]["chosen"]["backbone"] == "resnet9"
    assert row["machine"].keys() >= MACHINE.keys()
    for name in (
        "error_changed_ratio",
        "apd",
        "psnr",
        "ssim",
        "lra",
        "lra_ceiling",
        "lra_relative",
        "clean_pass_error",
    ):
        assert name in row
    assert "rows left: 0" in lines[-1]
    assert "| cifar10-wanet-5 | 300 | 15 |" in suite.table_file(folder).read_text()
