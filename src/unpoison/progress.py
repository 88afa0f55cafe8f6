"""Progress on stderr: stage, percentage, time left; and the seconds that each stage took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from tqdm import tqdm


class Stage:
    """Reports how far one stage, or a part of it, has come."""

    def __init__(self, bar: "tqdm[Never]", start: float = 0.0, end: float = 1.0) -> None:
        self._bar, self._start, self._end = bar, start, end

    def update(self, fraction: float) -> None:
        """Moves the bar to `fraction` of the stage, 0..1."""
        reached = self._start + min(1.0, fraction) * (self._end - self._start)
        self._bar.update(reached * 100 - self._bar.n)

    def part(self, start: float, end: float) -> "Stage":
        """The stage between two fractions of it, for work that reports its own 0..1."""
        width = self._end - self._start
        return Stage(self._bar, self._start + start * width, self._start + end * width)


class Progress:
    """Shows one bar per stage and records the timings.

    Args:
        enabled: True shows bars, False is silent, None shows them where stderr is a terminal.

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
        layout = "{desc}: {percentage:3.0f}% |{bar}| {elapsed} elapsed, {remaining} left"
        with tqdm(total=100, desc=name, bar_format=layout, disable=not self.enabled, file=sys.stderr) as bar:
            stage = Stage(bar)
            yield stage
            stage.update(1.0)
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start
