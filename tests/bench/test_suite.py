"""`core` and `bab`: what is measured again, and one real row."""

import pytest

from bench_results import MACHINE, a_row, needs_images, put
from unpoison.errors import ConfigError, UnpoisonError
from unpoison_bench import processes, suite
from unpoison_bench.experiments import get_experiment
from unpoison_bench.runner import run_experiment


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of results, with images that are there but never read."""
    monkeypatch.setattr(suite, "images_file", lambda name, split: None)
    return tmp_path / "core-cpu-seed0"


def test_finished_rows_are_skipped_and_stand_in_the_table(folder, monkeypatch):
    def started(*arguments):
        raise AssertionError("a finished row was measured again")

    monkeypatch.setattr(processes.multiprocessing, "get_context", started)
    put(folder, "cifar10-clean", a_row("cifar10-clean", fpr=0.25))
    lines, core = [], get_experiment("core", out=folder.parent)
    published = run_experiment(core, ["cifar10-clean"], say=lines.append)
    assert "| cifar10-clean |" in published.text
    assert published.text == (folder.parent / "core-cpu-seed0.md").read_text()
    assert "1 of 1 are done already" in lines[0]
    with pytest.raises(AssertionError, match="measured again"):
        run_experiment(core, ["cifar10-clean"], force=True)


def test_rows_of_other_settings_are_not_mixed(folder):
    put(folder, "cifar10-clean", a_row("cifar10-clean"))
    with pytest.raises(ConfigError, match="--force"):
        run_experiment(get_experiment("core", out=folder.parent, preset="fast"), ["gtsrb-clean"])


def test_paper_rows_follow_what_they_take_their_network_from(folder):
    core = get_experiment("core", out=folder.parent)
    paper, default = core.units(["cifar10-sig-1-paper", "cifar10-sig-1"])
    assert paper.after == default.path
    assert default.after is None
    assert "assumed" in paper.prepare().deviations[0]
    chosen = {"backbone": "resnet18", "width": 8, "training": {"epochs": 9, "batch_size": 32, "flip": False}}
    put(folder, "cifar10-sig-1", a_row("cifar10-sig-1", config={"chosen": chosen}))
    assert paper.prepare().config.detection.backbone == "resnet18"
    (alone,) = get_experiment("bab").units(["cifar10-sig-5-paper"])
    assert alone.after is None


def test_unknown_row_preset_or_device_is_refused(tmp_path):
    for wrong in ({"preset": "slow"}, {"device": "abacus"}):
        with pytest.raises(ConfigError):
            run_experiment(get_experiment("core", out=tmp_path, **wrong))
    with pytest.raises(ConfigError, match="unknown row 'nothing': choose among cifar10-badnets-1"):
        run_experiment(get_experiment("core", out=tmp_path), ["nothing"])


@needs_images
def test_failed_row_leaves_no_file(tmp_path):
    core = get_experiment("core", out=tmp_path, preset="fast", per_class=1)
    with pytest.raises(UnpoisonError, match="cifar10-clean-seed0 failed"):
        run_experiment(core, ["cifar10-clean"])
    assert not list(tmp_path.rglob("*.json"))


@needs_images
@pytest.mark.usefixtures("fewer_references", "unpatterned", "one_class_searched", "at_once")
@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_one_real_row(tmp_path):
    lines = []
    core = get_experiment("core", out=tmp_path, preset="fast", per_class=30)
    published = run_experiment(core, ["cifar10-wanet-5"], say=lines.append)
    (row,) = published.facts
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
    assert "; 0 left" in lines[-1]
    assert "| cifar10-wanet-5 | 300 | 15 |" in published.text
