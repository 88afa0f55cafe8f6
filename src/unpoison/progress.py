"""Progress on stderr: stage, percentage, time left; and the seconds that each stage took."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_REFRESH_SECONDS = 0.1
_GONE = (OSError, ValueError)
"""What writing to a stderr raises whose terminal was closed: no reason to end a long run."""
_logger = logging.getLogger(__name__)


class Stage:
    """Reports how far one stage, or a part of it, has come."""

    def __init__(self, show: Callable[[float], None], start: float = 0.0, end: float = 1.0) -> None:
        self._show, self._start, self._end = show, start, end

    def update(self, fraction: float) -> None:
        """Moves the bar to `fraction` of the stage, 0..1."""
        self._show(self._start + min(1.0, fraction) * (self._end - self._start))

    def part(self, start: float, end: float) -> "Stage":
        """The stage between two fractions of it, for work that reports its own 0..1."""
        width = self._end - self._start
        return Stage(self._show, self._start + start * width, self._start + end * width)


class Progress:
    """Shows one bar per stage and records the timings.

    Args:
        enabled: True shows bars on a terminal and a line per finished stage elsewhere, False is silent, None shows
            bars where stderr is a terminal.

    Attributes:
        timings: seconds per finished stage, in order; a stage that runs twice adds up.
    """

    def __init__(self, enabled: bool | None = None) -> None:
        self.enabled = sys.stderr.isatty() if enabled is None else enabled
        self.timings: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Runs one stage: `with progress.stage("restore") as stage: stage.update(0.5)`."""
        start = time.perf_counter()
        with _display().bar(name) if self.enabled else nullcontext(_ignore) as show:
            stage = Stage(show)
            yield stage
            stage.update(1.0)
        seconds = time.perf_counter() - start
        self.timings[name] = self.timings.get(name, 0.0) + seconds
        _logger.debug("%s: %.1f s", name, seconds)


def _ignore(_: float) -> None: ...


class _Display:
    """The bars of one process, below each other where stages overlap; finished ones become lines above them.

    It is drawn when a stage moves, by no thread of its own: a stage may fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: Bars | None = None
        self._drawn = 0.0

    @contextmanager
    def bar(self, name: str) -> Iterator[Callable[[float], None]]:
        """Shows a bar within the block; the function moves it to a fraction, 0..1."""
        try:
            with self._lock:
                bars = self._bars = self._bars or _started()
                task = bars.add_task(name, total=1.0)
        except _GONE:
            yield _ignore
            return

        def show(fraction: float) -> None:
            bars.update(task, completed=fraction)
            if time.monotonic() - self._drawn >= _REFRESH_SECONDS:
                self._drawn = time.monotonic()
                with suppress(*_GONE):
                    bars.refresh()

        try:
            yield show
        finally:
            with self._lock, suppress(*_GONE):
                last = bars.make_tasks_table([bars.tasks[bars.task_ids.index(task)]])
                bars.remove_task(task)
                if bars.task_ids:
                    bars.refresh()
                else:
                    self._bars = None
                    if bars.live.is_started:
                        bars.stop()
                bars.console.print(last)


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
        # In a notebook rich would need widgets: lines do.
        console=Console(stderr=True, force_jupyter=False),
        auto_refresh=False,
        transient=True,
        # What others write to stderr meanwhile, such as warnings, goes above the bars.
        redirect_stderr=True,
        redirect_stdout=False,
        # Epochs may take minutes: the time left follows from the whole stage.
        speed_estimate_period=float("inf"),
    )
    if bars.console.is_interactive:
        bars.start()
        # A process that is killed cannot bring a hidden cursor back.
        bars.console.show_cursor(True)
    return bars


_displays: dict[int, _Display] = {}


def _display() -> _Display:
    """That of this process: a forked one must neither go on with its parent's bars nor wait for its locks."""
    return _displays.setdefault(os.getpid(), _Display())
