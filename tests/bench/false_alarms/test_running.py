"""`false-alarms`: what is measured again."""

import dataclasses

import pytest

from bench_results import a_set, poisoned, put
from unpoison.errors import ConfigError
from unpoison_bench import processes
from unpoison_bench.experiments import get_experiment
from unpoison_bench.runner import run_experiment


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The folder of results, in which one set is measured; nothing is measured again."""

    def started(*arguments):
        raise AssertionError("a set was measured again")

    monkeypatch.setattr(processes.multiprocessing, "get_context", started)
    folder = tmp_path / "false-alarms-pdautor-default-cpu-seed0" / "develop"
    for one in (a_set(), poisoned()):
        put(folder, one["set"], one)
    return folder


def test_measured_sets_are_skipped(measured):
    lines, sets = [], get_experiment("false-alarms", out=measured.parents[1])
    published = run_experiment(sets, ["digits-parity"], say=lines.append)
    assert lines[0].startswith("1 of 1 are done already, 0 to go")
    assert "| digits-parity |" in published.text
    assert published.text == measured.with_name("develop.md").read_text()
    with pytest.raises(AssertionError, match="measured again"):
        run_experiment(sets, ["digits-parity"], force=True)


def test_sets_that_lack_networks_are_measured_again(measured):
    rows, sets = ["digits-10x60+badnets-5"], get_experiment("false-alarms", out=measured.parents[1])
    without = poisoned()
    del without["asr_input"]
    run_experiment(sets, rows)
    put(measured, rows[0], without)
    run_experiment(dataclasses.replace(sets, downstream=False), rows)
    with pytest.raises(AssertionError, match="measured again"):
        run_experiment(sets, rows)


@pytest.mark.parametrize("wrong", [{"preset": "slow"}, {"device": "abacus"}, {"method": "magic"}])
def test_what_is_unknown_is_refused(tmp_path, wrong):
    with pytest.raises(ConfigError):
        run_experiment(get_experiment("false-alarms", out=tmp_path, **wrong))
