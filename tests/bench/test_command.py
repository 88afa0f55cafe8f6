"""`unpoison bench`."""

import json

import pytest

from bench_results import a_row, a_set, poisoned, put
from unpoison.cli import main
from unpoison_bench.false_alarms.listing import cases_of
from unpoison_bench.names import NAMES, SCALE_NAMES


def test_command_prints_table_or_json(tmp_path, capsys):
    put(tmp_path / "core-cpu-seed0", "cifar10-clean", a_row("cifar10-clean", fpr=0.25))
    arguments = ["bench", "core", "--rows", "cifar10-clean", "--out", str(tmp_path)]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert "25.00 %" in shown.out
    assert "1 of 1 are done already, 0 to go" in shown.err
    assert main([*arguments, "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)[0]["fpr"] == 0.25
    assert not shown.err
    assert main(["bench", "core", "--rows", "nothing"]) == 2


@pytest.mark.parametrize("name", ["core", "ours", "false-alarms", "photographs"])
def test_command_refuses_no_jobs_and_unknown_rows(name, tmp_path, capsys):
    assert main(["bench", name, "--jobs", "0", "--out", str(tmp_path)]) == 2
    assert "jobs must be at least 1" in capsys.readouterr().err
    assert main(["bench", name, "--rows", "*clean*", "nothing", "--out", str(tmp_path)]) == 2
    assert "unknown row" in capsys.readouterr().err


def test_command_names_all_experiments(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    shown = "".join(capsys.readouterr().out.split())
    assert all(name in shown for name in (*NAMES, *SCALE_NAMES))


def test_command_prints_page_or_json(tmp_path, capsys):
    for one in (a_set(), poisoned()):
        put(tmp_path / "false-alarms-pdautor-default-cpu-seed0" / "develop", one["set"], one)
    arguments = ["bench", "false-alarms", "--rows", "digits-parity", "--out", str(tmp_path)]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("# False alarms, half develop: pdautor, preset default, seed 0")
    assert "1 of 1 are done already" in shown.err
    assert main([*arguments, "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert [one["set"] for one in json.loads(shown.out)] == ["digits-parity", "digits-10x60+badnets-5"]
    assert not shown.err


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["core", "--half", "unseen"], "half"),
        (["bab", "--method", "bab"], "method"),
        (["core", "--scale", "cpu"], "scale"),
        (["ours", "--half", "develop"], "half"),
        (["ours", "--preset", "fast"], "preset"),
        (["ours", "--method", "bab"], "method"),
        (["false-alarms", "--scale", "smoke"], "scale"),
        (["false-alarms", "--photographs", "500"], "photographs"),
        (["photographs", "--half", "unseen"], "half"),
    ],
)
def test_command_refuses_options_of_others(words, option, capsys):
    assert main(["bench", *words]) == 2
    assert f"--{option} is not for {words[0]}: leave it out" in capsys.readouterr().err


def test_command_measures_a_real_set(tmp_path, capsys):
    arguments = ["bench", "false-alarms", "--rows", "digits-imb*", "--preset", "fast", "--jobs", "2", "--seed", "3"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert f"1 of {len(cases_of('develop'))} sets are measured" in capsys.readouterr().out
    (file,) = tmp_path.rglob("*.json")
    assert file.parts[-3:] == ("false-alarms-pdautor-fast-cpu-seed3", "develop", "digits-imbalanced-17.json")
    measured = json.loads(file.read_text())
    assert (measured["samples"], measured["classes"], measured["half"], measured["seed"]) == (403, 8, "develop", 3)
    assert "asr_input" not in measured
    assert any("smallest class has 5 images" in text for text in measured["warnings"])
