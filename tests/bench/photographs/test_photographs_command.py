"""`unpoison bench photographs`."""

import json

import pytest

from bench_results import MACHINE, put
from unpoison.cli import main
from unpoison.errors import ConfigError
from unpoison_bench.experiments import get_experiment
from unpoison_bench.photographs import obeying
from unpoison_bench.photographs.bars import bars
from unpoison_bench.photographs.tables import page
from unpoison_bench.runner import run_experiment


def test_command_measures_a_row(album, tmp_path, at_once, monkeypatch, capsys):
    monkeypatch.setattr(obeying, "SHAPE", (16, 16, 3))
    arguments = [
        "bench",
        "photographs",
        "--rows",
        "patch-6",
        "--preset",
        "fast",
        "--photographs",
        "108",
        "--method",
        "flags",
    ]
    assert main([*arguments, "--downstream", "--out", str(tmp_path / "out")]) == 0
    assert "| patch-6 | 108 | 3 |" in capsys.readouterr().out
    measured = json.loads((tmp_path / "out" / "photographs-flags-fast-cpu-seed0-108" / "patch-6.json").read_text())
    assert (measured["samples"], measured["poisoned"], measured["classes"]) == (108, 3, 3)
    assert measured["flagged"] == measured["clean_flagged"] + round(3 * measured["tpr"])
    for name in ("average_precision", "tpr", "fpr", "asr_input", "asr_output", "unstamped_output", "accuracy_input"):
        assert 0 <= measured[name] <= 1
    assert measured["cpu_seconds"] > 0
    assert at_once.started == 1
    assert main([*arguments, "--downstream", "--out", str(tmp_path / "out")]) == 0
    assert at_once.started == 1


def a_photograph_row(name="patch-6", **measures):
    """Measures of a row that meets what is asked."""
    met = {"average_precision": 0.99, "fpr": 0.0, "error_changed_ratio": 0.2, "error_elsewhere_added": 0.0}
    return {"name": name, "samples": 100, "poisoned": 3, "machine": MACHINE, **met, **measures}


def test_bars_are_met_missed_or_not_measured():
    lines = [bar.line for bar in bars([a_photograph_row(error_changed_ratio=0.75)])]
    assert "- patch-6: AP at least 0.97: 0.99: **met**" in lines
    assert (
        "- patch-6: error in the changed pixels, of that of doing nothing at most 0.25: 0.75: **missed by 0.5**"
        in lines
    )
    assert "- patch-6: ASR after training on the output at most 0.05: **not measured**" in lines
    assert len(lines) == 5


def test_page_leaves_out_what_nobody_measured():
    text = page("Photographs", [a_photograph_row()], 13)
    assert "1 of 13 rows are measured" in text
    assert "## Repair at native size" in text
    assert "small network" not in text
    assert "None" not in text
    assert "| patch-6 | – | – | 90.0 % |" in page(
        "Photographs", [a_photograph_row(asr_output=None, unstamped_input=0.9)], 13
    )


def test_page_is_made_of_what_is_there(tmp_path, capsys):
    put(
        tmp_path / "photographs-pdautor-default-cpu-seed0",
        "clean",
        a_photograph_row("clean", worst_class_altered_share=0.0),
    )
    assert main(["bench", "photographs", "--rows", "clean", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("# Photographs: pdautor, preset default, seed 0\n")


@pytest.mark.parametrize("wrong", [{"preset": "slow"}, {"method": "magic"}, {"photographs": 5}])
def test_what_is_unknown_or_too_few_is_refused(album, tmp_path, wrong):
    with pytest.raises(ConfigError):
        run_experiment(get_experiment("photographs", out=tmp_path, **wrong), ["patch-6"])
