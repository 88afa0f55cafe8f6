"""The comparisons: what they declare, and their tables and figures of made-up results."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from bench_results import MACHINE, made_up
from unpoison_bench.comparing import show
from unpoison_bench.comparison import Comparison, Line, Measured, lookup
from unpoison_bench.comparisons import COMPARISONS
from unpoison_bench.comparisons.ours import rates
from unpoison_bench.markdown import as_json, markdown
from unpoison_bench.published import PUBLISHED
from unpoison_bench.runs import VARIANTS, Run
from unpoison_bench.scales import SCALES
from unpoison_bench.table import Column, number, percent


def measured(name, scale, seeds=(0,)):
    return [Measured(line, {seed: made_up() for seed in seeds}) for line in COMPARISONS[name].lines(scale)]


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


def test_experiments_share_runs():
    scale = SCALES["cpu"]
    runs_of = {name: {line.run for line in COMPARISONS[name].lines(scale)} for name in COMPARISONS}
    assert runs_of["pdautor-table9"] == runs_of["pdautor-table1"]
    assert runs_of["bab-table2"] < runs_of["bab-table1"]
    assert runs_of["pdautor-fig4"] <= runs_of["pdautor-fig8"] & runs_of["pdautor-fig9"] & runs_of["ours"]
    assert len(runs_of["bab-fig5"]) == 5
    assert rates("sig", scale)[-1] == 0.05
    assert rates("blend", scale)[-1] == 0.1


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
    show(COMPARISONS[name], SCALES["smoke"], measured(name, SCALES["smoke"], (0, 1)), tmp_path)
    pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
    assert min(pixels.shape) > 100
    # More than a white page with a title.
    assert (pixels < 128).sum() > 500


def test_figures_leave_out_what_was_not_measured(tmp_path):
    name, scale = "pdautor-table2", SCALES["smoke"]
    whole = measured(name, scale)
    part = [whole[0], *(entry._replace(results={0: None}) for entry in whole[1:])]
    heights = []
    for found in (whole, part):
        show(COMPARISONS[name], scale, found, tmp_path)
        with Image.open(tmp_path / f"{name}.png") as figure:
            heights.append(figure.height)
    assert heights[1] < heights[0]


def test_nothing_measured_has_no_figure(tmp_path):
    name, scale = "bab-fig6", SCALES["smoke"]
    nothing = [Measured(line, {0: None}) for line in COMPARISONS[name].lines(scale)]
    show(COMPARISONS[name], scale, nothing, tmp_path)
    assert not (tmp_path / f"{name}.png").exists()
    assert ".png" not in (tmp_path / f"{name}.md").read_text()
