"""The papers' tables and figures: declarations, tables and plots from made-up results, resuming, one real run."""

import base64
import dataclasses
import io
import json
import os
import time

import numpy as np
import pytest
import torch
from PIL import Image

from unpoison import metrics
from unpoison.attacks import Composite
from unpoison.cli import main
from unpoison.errors import ConfigError, UnpoisonError
from unpoison.methods.base import Outcome
from unpoison_bench import cleaned, processes, runner, runs
from unpoison_bench.comparison import Comparison, Line, Measured, lookup
from unpoison_bench.comparisons import COMPARISONS, get_comparison
from unpoison_bench.comparisons.ours import rates
from unpoison_bench.curves import POINTS, curve
from unpoison_bench.flags import false_flags
from unpoison_bench.markdown import as_json, markdown
from unpoison_bench.names import COMPARISON_NAMES, SCALE_NAMES, SUITE_NAMES
from unpoison_bench.published import PUBLISHED
from unpoison_bench.rows import SUITES
from unpoison_bench.runs import VARIANTS, Run
from unpoison_bench.scales import SCALES, get_scale
from unpoison_bench.table import Column, number, percent

MACHINE = {
    "date": "2026-01-02T03:04:05+00:00", "platform": "Linux", "torch": "2", "unpoison": "0", "cpu_count": 2,
    "torch_threads": 1, "load_average": 0.5, "device_name": "a CPU", "commit": "0123456789abcdef", "dirty": False,
}  # fmt: skip
CURVE = {"recall": [0.0, 0.5, 1.0], "precision": [1.0, 0.9, 0.2]}


def made_up(run):
    """A result with every key that columns and plots read."""
    detector = {"average_precision": 0.9, "tpr": 0.8, "fpr": 0.01, "flagged": 7, "cdr": 0.9, "pdr": 0.1, "curve": CURVE}
    model = {"accuracy": 0.7, "asr": 0.2}
    counts = {"cdr": 0.9, "pdr": 0.1, "clean": 90, "residual": 1}
    names = (
        "pdautor",
        "bab",
        "ensemble",
        "mixture",
        "mixture_post_training",
        "svd",
        "spectral",
        "activation_clustering",
        "scan",
    )
    return {
        "samples": 100,
        "poisoned": 10,
        "detection": detector,
        "restoration": {"apd_all": 0.02, "apd_nothing": 0.03, "error_changed_ratio": 0.5, "lra_all": 0.75},
        "downstream": {"input": model, "output": model, "kept": model, "healed": model},
        "by_models": {str(n + 1): counts for n in range(20)},
        "stages": {"detection": 5.0, "content": 6.0, "labels": 7.0, "total": 18.0},
        "detectors": dict.fromkeys((*names, "spectre", "post_training", "art"), detector),
        "model": model,
        "losses": {"clean": [2.0, 1.0, 0.5], "poisoned": [2.0, 0.5, 0.1]},
        "training": {"epochs": 3},
        "sheet": None,
        "machine": MACHINE,
    }


def measured(name, scale, seeds=(0,)):
    return [Measured(line, {seed: made_up(line.run) for seed in seeds}) for line in COMPARISONS[name].lines(scale)]


def test_names_for_the_command_line_are_those_that_exist():
    assert tuple(COMPARISONS) == COMPARISON_NAMES
    assert tuple(SUITES) == SUITE_NAMES
    assert tuple(SCALES) == SCALE_NAMES
    for wrong in (lambda: get_comparison("pdautor-table99"), lambda: get_scale("huge")):
        with pytest.raises(ConfigError, match="choose one of"):
            wrong()


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name)
@pytest.mark.parametrize("name", COMPARISONS)
def test_every_run_can_be_built(name, scale):
    comparison = COMPARISONS[name]
    lines = comparison.lines(scale)
    assert lines
    # No two lines of a table can be mistaken for each other.
    assert len({(line.row, line.group) for line in lines}) == len(lines)
    for line in lines:
        line.run.config()
        assert line.run.scale == scale.name
        assert set(line.run.attacks) <= set(VARIANTS)
        assert bool(line.run.attacks) == (line.run.rate > 0)
        assert not line.published.keys() - {column.heading for column in comparison.columns}
        if line.part.startswith("downstream"):
            assert line.run.downstream


def test_every_published_row_stands_in_its_table():
    for name, rows in PUBLISHED.items():
        shown = [line.published for line in COMPARISONS[name].lines(SCALES["full"])]
        for row, figures in rows.items():
            assert figures in shown, (name, row)
            assert all(0 <= value <= 1 for heading, value in figures.items() if not heading.endswith(", s"))
    printed = {"APD": 0.0229, "LRA": 0.912, "DMA_B": 0.8901, "DMA": 0.9008}
    assert PUBLISHED["pdautor-table1"]["cifar10"] == pytest.approx(printed)
    assert [len(rows) for rows in PUBLISHED.values()] == [2, 4, 4, 2, 2, 5, 5, 4, 2, 32, 10, 8, 4]


def test_runs_have_files_by_all_that_they_depend_on():
    run = Run(dataset="cifar10", attacks=("badnets",), rate=0.01, scale="cpu")
    assert run.file.startswith("cifar10-badnets-1-pdautor-seed0-")
    others = [
        run.with_seed(1),
        *(
            dataclasses.replace(run, **change)
            for change in (
                {"scale": "smoke"},
                {"target": 1},
                {"target": "all-to-all"},
                {"preset": "paper"},
                {"changes": (("restoration.width", 8),)},
                {"false_positives": 0.1},
                {"part": 0.5},
            )
        ),
    ]
    assert len({run.file, *(other.file for other in others)}) == 9
    assert dataclasses.replace(run, changes=(("restoration.width", 8),)).config().restoration.width == 8


def test_experiments_share_runs():
    scale = SCALES["cpu"]
    runs_of = {name: {line.run for line in COMPARISONS[name].lines(scale)} for name in COMPARISONS}
    assert runs_of["pdautor-table9"] == runs_of["pdautor-table1"]
    assert runs_of["bab-table2"] < runs_of["bab-table1"]
    assert runs_of["pdautor-fig4"] <= runs_of["pdautor-fig8"] & runs_of["pdautor-fig9"] & runs_of["ours"]
    assert len(runs_of["bab-fig5"]) == 5
    assert rates("sig", scale)[-1] == 0.05
    assert rates("blend", scale)[-1] == 0.1


def test_composite_has_another_target_than_its_sources():
    assert VARIANTS["composite"]().sources == (1, 2)
    assert isinstance(VARIANTS["composite"](), Composite)


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_column_and_curve_finds_its_values(name):
    scale, comparison = SCALES["smoke"], COMPARISONS[name]
    found = measured(name, scale)
    # A pivoted table shows each column for the groups that have it.
    enough = any if comparison.pivot else all
    assert all(enough(entry.values(column.key) for column in comparison.columns) for entry in found)
    assert all(enough(entry.values(column.key) for entry in found) for column in comparison.columns)
    text = markdown(comparison, scale, found)
    assert "say nothing about the methods" in text.replace("\n", " ")
    assert all(f"| {line.row} |" in text for line in comparison.lines(scale))
    assert "–" not in text.replace("(paper)", "") or any(entry.line.published for entry in found)
    json.dumps(as_json(comparison, scale, found), allow_nan=False)


def test_table_shows_means_spreads_and_the_papers_figures():
    run = Run(dataset="cifar10", attacks=("badnets",), rate=0.01, scale="cpu")
    comparison = Comparison(
        name="some-table", title="A table", source="a paper, table 7", remarks=["something differs"],
        columns=(Column("LRA", "lra", percent(1)), Column("count", "count", number(0))), lines=lambda scale: [],
    )  # fmt: skip
    lines = [
        Line(row="a", group="ours", run=run, part="inner", published={"LRA": 0.5}),
        Line(row="b", group="theirs", run=run),
    ]
    found = [
        Measured(lines[0], {seed: {"inner": {"lra": lra}, "machine": MACHINE} for seed, lra in ((0, 0.6), (1, 0.8))}),
        Measured(lines[1], {0: {"lra": 0.25, "count": 3, "machine": MACHINE}, 1: None}),
    ]  # fmt: skip
    text = markdown(comparison, SCALES["cpu"], found)
    assert "| row | of | LRA | LRA (paper) | count |" in text
    assert "| a | ours | 70.0 % ± 14.1 % | 50.0 % | – |" in text
    assert "| b | theirs | 25.0 % | – | 3 |" in text
    assert "- something differs\n- 1 runs are missing" in text
    assert text.count("commit 0123456789ab") == 1
    pivoted = markdown(dataclasses.replace(comparison, pivot=True), SCALES["cpu"], found)
    assert "## LRA\n\n| row | ours | theirs |" in pivoted
    assert "| b | – | 25.0 % |" in pivoted
    kept = as_json(comparison, SCALES["cpu"], found)["lines"]
    assert kept[0]["values"]["LRA"] == {0: 0.6, 1: 0.8}
    assert kept[1]["runs"][1] is None


def test_lookup_ends_where_the_path_does():
    assert lookup({"a": {"b": 3}}, "a", "b") == 3
    assert lookup({"a": None}, "a", "b") is None
    assert lookup(None, "", "b") is None


@pytest.mark.parametrize("name", [name for name, comparison in COMPARISONS.items() if comparison.plot])
def test_figures_are_drawn(name, tmp_path):
    path = runner.show(COMPARISONS[name], SCALES["smoke"], measured(name, SCALES["smoke"], (0, 1)), tmp_path)
    pixels = np.asarray(Image.open(path.with_suffix(".png")).convert("L"))
    assert min(pixels.shape) > 100
    # More than a white page with a title.
    assert (pixels < 128).sum() > 500


def test_figures_leave_out_what_was_not_measured(tmp_path):
    name, scale = "pdautor-table2", SCALES["smoke"]
    whole = measured(name, scale)
    part = [whole[0], *(entry._replace(results={0: None}) for entry in whole[1:])]
    heights = []
    for found in (whole, part):
        path = runner.show(COMPARISONS[name], scale, found, tmp_path)
        with Image.open(path.with_suffix(".png")) as figure:
            heights.append(figure.height)
    assert heights[1] < heights[0]


def test_nothing_measured_has_no_figure(tmp_path):
    name, scale = "bab-fig6", SCALES["smoke"]
    nothing = [Measured(line, {0: None}) for line in COMPARISONS[name].lines(scale)]
    path = runner.show(COMPARISONS[name], scale, nothing, tmp_path)
    assert not path.with_suffix(".png").exists()
    assert ".png" not in path.read_text()


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


def test_sheet_has_originals_poisoned_and_restored_images(cleaning):
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(cleaned.sheet(cleaning)))))
    assert pixels.shape == (3 * 8, 2 * 8, 3)
    # The corner that was poisoned, of both restored images.
    assert pixels[7::8, 7::8, 0].tolist() == [[100, 100], [200, 200], [110, 130]]
    assert cleaned.sheet(dataclasses.replace(cleaning, poisoned=np.zeros(6, bool))) is None


def test_apd_and_lra_count_what_was_restored_by_mistake(cleaning):
    found = cleaned.labels(cleaning)
    # Restored: samples 0 and 1 (off by 10 and 30 in one pixel) and the clean sample 4; label 0 of sample 1 is wrong.
    assert found["apd_all"] == pytest.approx(40 / 255 / 64 / 3)
    assert found["lra_all"] == pytest.approx(2 / 3)


def test_outcome_becomes_a_cleaning(cleaning):
    given = cleaning.given
    images = np.full((3, 8, 8, 3), 7, np.uint8)
    outcome = Outcome(report=cleaning.report, restored_index=np.array([0, 1, 4]), restored_images=images)
    data = runs.Poisoned(cleaning.originals, given, cleaning.poisoned, [], 2)
    found = cleaned.as_cleaning(data, outcome)
    assert found.source_index.tolist() == [0, 1, 3, 4, 5]
    assert (found.served.images[[0, 1, 3]] == 7).all()
    assert (found.served.images[[2, 4]] == given.images[[3, 5]]).all()
    assert found.served.labels.tolist() == [1, 0, 0, 1, 1]
    assert (given.images != 7).all()


def test_fewer_models_keep_more():
    votes = np.array([[True, True], [True, False], [False, True], [True, True]])
    found = cleaned.by_models(votes, np.array([False, False, True, True]))
    assert found["1"] == {"cdr": 1.0, "pdr": 0.5, "clean": 2, "residual": 1}
    assert found["2"] == {"cdr": 0.5, "pdr": 0.5, "clean": 1, "residual": 1}
    assert cleaned.by_models(np.zeros((0, 0), bool), np.zeros(4, bool)) == {}


def test_false_flags_are_as_many_as_asked_for():
    poisoned = np.arange(1000) < 100
    flagged = false_flags(poisoned, 0.02, 0.08, seed=0)
    assert (flagged[poisoned].sum(), flagged[~poisoned].sum()) == (92, 18)
    assert np.array_equal(false_flags(poisoned, 0, 0, seed=0), poisoned)


def fake(job):
    return made_up(job[0])


def test_interrupted_experiment_continues(tmp_path, monkeypatch):
    class AtOnce:
        """Stands for a process; its target runs here."""

        exitcode = 0
        calls = 0

        def __init__(self, target, args):
            self.target, self.args = target, args
            self.sentinel = self

        def start(self):
            type(self).calls += 1
            if type(self).calls == 2:
                self.exitcode = 1
            else:
                self.target(*self.args)

        def join(self):
            pass

    monkeypatch.setattr(runner, "images_file", lambda name, split: None)
    monkeypatch.setattr(processes.multiprocessing.get_context("spawn"), "Process", AtOnce, raising=False)
    monkeypatch.setattr(processes.connection, "wait", lambda sentinels: sentinels)
    lines = []
    arguments = {"scale": "smoke", "out": tmp_path, "seeds": (0, 1), "measure": fake, "say": lines.append}
    with pytest.raises(UnpoisonError, match="run again to repeat only these"):
        runner.run_experiment("pdautor-table9", **arguments)
    folder = tmp_path / "smoke-cpu"
    # Two datasets and two seeds, and one of the four failed.
    assert len(list((folder / "runs").iterdir())) == 3
    assert "1 runs are missing" in (folder / "pdautor-table9.md").read_text()
    path = runner.run_experiment("pdautor-table9", **arguments)
    assert (AtOnce.calls, len(list((folder / "runs").iterdir()))) == (5, 4)
    assert "missing" not in path.read_text()
    assert "3 of 4 runs are done already, 1 to go" in lines[-2]
    # Another experiment finds the same runs.
    runner.run_experiment("pdautor-table1", **arguments)
    assert AtOnce.calls == 5
    runner.run_experiment("pdautor-table9", **arguments, force=True)
    assert AtOnce.calls == 9
    runner.run_experiment("pdautor-table9", **arguments, rows=["cifar*"], force=True)
    assert AtOnce.calls == 11
    with pytest.raises(ConfigError, match="choose among cifar10, gtsrb"):
        runner.run_experiment("pdautor-table9", **arguments, rows=["svhn"])


def meet(folder):
    """Waits until it is called in two processes at a time."""
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    return {"met": len(list(folder.iterdir())), "threads": torch.get_num_threads()}


def test_jobs_run_side_by_side_and_share_the_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    place = tmp_path / "place"
    place.mkdir()
    lines = []
    tasks = [processes.Task(name, tmp_path / name, lambda: place, meet) for name in ("one", "two")]
    assert processes.measure_each(tasks, "tasks", lines.append, jobs=2) == []
    for task in tasks:
        assert processes.read_json(task.path) == {"met": 2, "threads": 1}
    assert ["left: 1" in line for line in lines] == [True, False]


def test_command_refuses_options_of_the_other_kind(capsys):
    assert main(["bench", "ours", "--jobs", "0"]) == 2
    assert "jobs must be at least 1" in capsys.readouterr().err
    assert main(["bench", "bab", "--jobs", "2"]) == 2
    assert "--jobs is not for bab" in capsys.readouterr().err
    assert main(["bench", "core", "--scale", "cpu"]) == 2
    assert "--scale is not for core" in capsys.readouterr().err
    assert main(["bench", "ours", "--preset", "fast"]) == 2
    assert "--preset is not for ours" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    shown = "".join(capsys.readouterr().out.split())
    assert all(name in shown for name in (*COMPARISON_NAMES, *SCALE_NAMES))


needs_images = pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA is unset: no real images")


@needs_images
@pytest.mark.parametrize("overlap", [False, True])
def test_poison_of_two_attacks(overlap):
    run = Run(
        dataset="cifar10", attacks=("badnets", "badnets_top_left"), rate=0.1, overlap=overlap, part=0.5, scale="smoke"
    )
    data = runs.load(run)
    assert (len(data.given), data.num_classes, data.poisoned.sum()) == (250, 10, 25 if overlap else 24)
    white = (data.given.images == 255).all(-1)
    corners = [white[:, -3:, -3:].all((1, 2)), white[:, :3, :3].all((1, 2))]
    stamped = np.array(corners)[:, data.poisoned]
    assert stamped.all(0).all() if overlap else (stamped.sum(0) == 1).sum() >= 20


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
def test_one_real_run(method, changes):
    run = Run(
        dataset="cifar10", attacks=("badnets",), rate=0.1, part=0.4, method=method, changes=changes,
        false_positives=0.1 if method == "flags" else 0.0, scale="smoke",
    )  # fmt: skip
    result = json.loads(json.dumps(runner.measure_run((run, "cpu")), allow_nan=False))
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
    assert result["stages"]["total"] == pytest.approx(sum(result["timings"].values()))
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
