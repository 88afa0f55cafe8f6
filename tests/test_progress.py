"""Progress on stderr, and the timings."""

import os
import pty
import re
import subprocess
import sys
import time
import types

import pytest

from unpoison.progress import Progress, in_notebook

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


def run(progress):
    with progress.stage("train") as bar:
        for done in (0.25, 0.5, 0.75):
            time.sleep(0.15)  # bars are drawn ten times a second at most
            bar.update(done)


def on_terminal(program):
    """What a program writes to stderr, a terminal, as it came."""
    mine, its = pty.openpty()
    program = f"import sys, time; from unpoison.progress import Progress\n{program}"
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=its, env=environment
    ) as child:
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(mine, 1 << 16)
            except OSError:  # so Linux says that the other side was closed
                part = b""
            if not part:
                break
            shown += part
        assert child.stdout.read() == b""
    os.close(mine)
    return shown.decode()


def screen(shown):
    """The lines that are left on the terminal in the end."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[[?\d;]*[a-zA-Z]|\r\n|\r|[^\x1b\r]+", shown):
        if token == "\r\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token == "\x1b[2K":
            lines[row] = ""
        elif up := re.fullmatch(r"\x1b\[(\d+)A", token):
            row -= int(up[1])
        elif token != "\r" and not token.startswith("\x1b"):
            lines[row] += token
    return [line for line in lines if line]


class Shell:
    """What `get_ipython` gives in a notebook."""


Shell.__name__ = "ZMQInteractiveShell"


@pytest.fixture
def cell(monkeypatch):
    """A notebook: the texts that its cell showed, one after the other, without ipywidgets."""
    shown = []

    def display(data, raw, display_id=None):
        assert raw
        shown.append(data["text/plain"])
        return types.SimpleNamespace(update=display)

    package = types.ModuleType("IPython")
    package.display = types.ModuleType("IPython.display")
    package.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", package.display)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    # As kernels do.
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("builtins.get_ipython", Shell, raising=False)
    return shown


def test_a_notebook_shows_bars(cell, capfd):
    run(Progress())
    assert [int(re.search(r"(\d+)%", text)[1]) for text in cell] == [25, 50, 75, 100]
    assert all(re.fullmatch(r"train \S+ +\d+% \S+ \S+ left", text) for text in cell)
    assert capfd.readouterr() == ("", "")


def test_bars_below_each_other_in_a_notebook(cell):
    progress = Progress()
    with progress.stage("outer") as outer:
        time.sleep(0.15)
        outer.update(0.25)
        with progress.stage("inner") as inner:
            time.sleep(0.15)
            inner.update(0.5)
    lines = [[line.split()[0] for line in text.splitlines()] for text in cell]
    assert lines[0] == ["outer"]
    assert ["outer", "inner"] in lines
    assert lines[-1] == ["inner", "outer"]


def test_a_notebook_stays_silent_when_off(cell, capfd):
    run(Progress(False))
    assert cell == []
    assert capfd.readouterr() == ("", "")


def test_ipython_in_a_terminal_is_no_notebook(cell, monkeypatch):
    monkeypatch.setattr("builtins.get_ipython", object)
    assert not in_notebook()


def test_silent_when_off(capfd):
    run(Progress(False))
    assert capfd.readouterr() == ("", "")


def test_silent_by_default_without_a_terminal(capfd):
    run(Progress())
    assert capfd.readouterr() == ("", "")


def test_a_line_per_stage_where_asked_for_without_a_terminal(capfd):
    run(Progress(True))
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"train \S+ 100% 0:00:00 0:00:00 left\n", err)


def test_bar_with_percentage_and_time_left():
    shown = on_terminal(
        """
with Progress().stage("train") as bar:
    for done in range(1, 5):
        time.sleep(0.5)
        bar.update(done / 8)
    time.sleep(0.2)
"""
    )
    percentages = [int(number) for number in re.findall(r"(\d+)%", shown)]
    assert percentages == sorted(percentages)
    assert {0, 25, 38, 50, 100} <= set(percentages)
    assert "0:00:02" in shown  # left, at a half
    (line,) = screen(shown)
    assert line.startswith("train ━")
    assert "100%" in line


def test_nested_bars_and_what_others_write_do_not_mix():
    shown = on_terminal(
        """
import warnings
with Progress().stage("outer") as outer:
    outer.update(0.25)
    with Progress().stage("inner") as inner:
        time.sleep(0.15)
        inner.update(0.5)
        warnings.warn("look here")
        print("and here", file=sys.stderr)
    time.sleep(0.15)
    outer.update(0.75)
print("afterwards", file=sys.stderr)
"""
    )
    lines = screen(shown)
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "<string>:9:",
        "and",
        "inner",
        "outer",
        "afterwards",
    ]
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)


def test_cursor_and_stderr_are_back_after_an_error():
    shown = on_terminal(
        """
before = sys.stderr
try:
    with Progress().stage("first") as bar:
        bar.update(0.5)
        raise KeyboardInterrupt
except KeyboardInterrupt:
    assert sys.stderr is before
with Progress().stage("second"):
    pass
"""
    )
    assert [line.split()[0] for line in screen(shown)] == ["first", "second"]
    assert "50%" in screen(shown)[0]
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)


def test_forked_workers_have_bars_of_their_own():
    shown = on_terminal(
        """
import multiprocessing
def work(number):
    with Progress().stage(f"worker{number}") as bar:
        bar.update(0.5)
    return number
with Progress().stage("outer") as outer:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, range(4)) == [0, 1, 2, 3]
"""
    )
    assert "Traceback" not in shown
    assert all(f"worker{number}" in shown for number in range(4))
    assert "outer" in screen(shown)[-1]


def test_a_closed_terminal_ends_nothing():
    mine, its = pty.openpty()
    program = """
import sys
from unpoison.progress import Progress
progress = Progress()
with progress.stage("train") as bar:
    sys.stdin.read()
    bar.update(0.5)
with progress.stage("test"):
    pass
print(list(progress.timings))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=its, text=True
    ) as child:
        os.close(its)
        os.read(mine, 10)
        os.close(mine)
        assert child.communicate()[0] == "['train', 'test']\n"


def test_more_than_all_is_all(capfd):
    with Progress(True).stage("train") as bar:
        bar.update(1.7)
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
    assert progress.timings == {}


def test_parts_report_their_own_share():
    shown = on_terminal(
        """
with Progress().stage("train") as bar:
    for number in range(2):
        time.sleep(0.15)
        bar.part(number / 2, (number + 1) / 2).update(0.5)
"""
    )
    percentages = re.findall(r"(\d+)%", shown)
    assert {"25", "75", "100"} <= set(percentages)
    assert percentages == sorted(percentages, key=int)
