"""Progress on stderr: stage, percentage, time left; and the seconds that each stage took."""

import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_REFRESH_SECONDS, _CELL_WIDTH = 0.1, 80
_GONE = (OSError, ValueError)
"""What writing to a stderr raises whose terminal was closed: no reason to end a long run."""
_logger = logging.getLogger(__name__)


class Bar:
    """Reports how far one stage, or a part of it, has come."""

    def __init__(self, show: Callable[[float], None], start: float = 0.0, end: float = 1.0) -> None:
        self._show, self._start, self._end = show, start, end

    def update(self, fraction: float) -> None:
        """Moves the bar to `fraction` of the stage, 0..1."""
        self._show(self._start + min(1.0, fraction) * (self._end - self._start))

    def part(self, start: float, end: float) -> "Bar":
        """The stage between two fractions of it, for work that reports its own 0..1."""
        width = self._end - self._start
        return Bar(self._show, self._start + start * width, self._start + end * width)


class Progress:
    """Shows one bar per stage and records the timings.

    Args:
        enabled: True shows bars on a terminal and in a notebook, and a line per finished stage elsewhere; False is
            silent; None shows bars where stderr is a terminal, and in a notebook.

    Attributes:
        timings: seconds per finished stage, in order; a stage that runs twice adds up.
    """

    def __init__(self, enabled: bool | None = None) -> None:
        self.enabled = sys.stderr.isatty() or in_notebook() if enabled is None else enabled
        self.timings: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Bar]:
        """Runs one stage: `with progress.stage("restore") as bar: bar.update(0.5)`."""
        start = time.perf_counter()
        with _display().bar(name) if self.enabled else nullcontext(_ignore) as show:
            bar = Bar(show)
            yield bar
            bar.update(1.0)
        seconds = time.perf_counter() - start
        self.timings[name] = self.timings.get(name, 0.0) + seconds
        _logger.debug("%s: %.1f s", name, seconds)


def in_notebook() -> bool:
    """Whether the code runs in a notebook, which shows outputs without a terminal."""
    # Nothing else can be one, and rich takes its time to import.
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console

    return Console().is_jupyter


def _ignore(_: float) -> None: ...


class _Display:
    """The bars of one process, below each other where stages overlap; finished ones become lines above them.

    It is drawn when a stage moves, by no thread of its own: a stage may fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: Bars | None = None
        self._cell: _Cell | None = None
        self._drawn = 0.0

    @contextmanager
    def bar(self, name: str) -> Iterator[Callable[[float], None]]:
        """Shows a bar within the block; the function moves it to a fraction, 0..1."""
        try:
            with self._lock:
                if self._bars is None:
                    self._bars = _started()
                    self._cell = _Cell() if in_notebook() else None
                bars, cell = self._bars, self._cell
                task = bars.add_task(name, total=1.0)
        except _GONE:
            yield _ignore
            return

        def show(fraction: float) -> None:
            bars.update(task, completed=fraction)
            if time.monotonic() - self._drawn >= _REFRESH_SECONDS:
                self._drawn = time.monotonic()
                with suppress(*_GONE):
                    _draw(bars, cell)

        try:
            yield show
        finally:
            with self._lock, suppress(*_GONE):
                last = bars.make_tasks_table([bars.tasks[bars.task_ids.index(task)]])
                bars.remove_task(task)
                if cell is not None:
                    cell.finished += _text(last)
                if bars.task_ids:
                    _draw(bars, cell)
                else:
                    self._bars = None
                    if bars.live.is_started:
                        bars.stop()
                    if cell is not None:
                        cell.show("")
                if cell is None:
                    bars.console.print(last)


class _Cell:
    """The output of a notebook's cell, which is replaced as a whole and needs no widgets."""

    def __init__(self) -> None:
        self.finished = ""
        self._shown: Any = None

    def show(self, running: str) -> None:
        from IPython.display import display

        text = {"text/plain": (self.finished + running).rstrip("\n")}
        if self._shown is None:
            self._shown = display(text, raw=True, display_id=True)
        else:
            self._shown.update(text, raw=True)


def _draw(bars: "Bars", cell: _Cell | None) -> None:
    if cell is None:
        bars.refresh()
    else:
        cell.show(_text(bars.get_renderable()))


def _text(renderable: Any) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_CELL_WIDTH, color_system=None, force_jupyter=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def _started() -> "Bars":
    # Imported here: importing the package stays cheap.
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        # In a notebook rich would need widgets: `_Cell` does not.
        console=Console(stderr=True, force_jupyter=False),
        auto_refresh=False,
        transient=True,
        # What others write to stderr meanwhile, such as warnings, goes above the bars.
        redirect_stderr=True,
        redirect_stdout=False,
        # Epochs may take minutes: the time left follows from the whole stage.
        speed_estimate_period=float("inf"),
    )
    # A kernel says that its stderr is a terminal, but nothing moves its cursor.
    if bars.console.is_interactive and not in_notebook():
        bars.start()
        # A process that is killed cannot bring a hidden cursor back.
        bars.console.show_cursor(True)
    return bars


_displays: dict[int, _Display] = {}


def _display() -> _Display:
    """That of this process: a forked one must neither go on with its parent's bars nor wait for its locks."""
    return _displays.setdefault(os.getpid(), _Display())
