"""Progress on stderr, and the timings."""

import re
import time

import pytest

from unpoison.progress import Progress


def run(progress):
    with progress.stage("train") as stage:
        for done in (0.25, 0.5, 0.75):
            time.sleep(0.15)  # bars are drawn ten times a second at most
            stage.update(done)


def test_silent_when_off(capfd):
    run(Progress(False))
    assert capfd.readouterr() == ("", "")


def test_silent_by_default_without_a_terminal(capfd):
    run(Progress())
    assert capfd.readouterr() == ("", "")


def test_percentage_and_time_left_on_stderr(capfd):
    run(Progress(True))
    out, err = capfd.readouterr()
    assert out == ""
    shown = [int(number) for number in re.findall(r"train:\s+(\d+)%", err)]
    assert shown == sorted(shown)
    assert {25, 50, 75, 100} <= set(shown)
    assert re.search(r"train:  50%.* 00:00 left", err)


def test_more_than_all_is_all(capfd):
    with Progress(True).stage("train") as stage:
        stage.update(1.7)
    assert "100%" in capfd.readouterr().err


def test_timings_add_up():
    progress = Progress(False)
    for _ in range(2):
        with progress.stage("a"):
            time.sleep(0.05)
    with progress.stage("b"):
        pass
    assert list(progress.timings) == ["a", "b"]
    assert 0.1 <= progress.timings["a"] < 2
    assert 0 <= progress.timings["b"] < 0.05


def test_errors_pass_through(capfd):
    progress = Progress(True)
    with pytest.raises(KeyError), progress.stage("a"):
        raise KeyError("wrong")
    assert "100%" not in capfd.readouterr().err


def test_parts_report_their_own_share(capfd):
    with Progress(True).stage("train") as stage:
        for number in range(2):
            part = stage.part(number / 2, (number + 1) / 2)
            time.sleep(0.15)
            part.update(0.5)
    shown = re.findall(r"train:\s+(\d+)%", capfd.readouterr().err)
    assert {"25", "75", "100"} <= set(shown)
    assert shown == sorted(shown, key=int)
