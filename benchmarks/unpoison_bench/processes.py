"""Measures things, each in a process of its own, and says how long the rest will take."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch

from unpoison.errors import UnpoisonError

from .experiment import Unit
from .results import Measures, write_json

Say = Callable[[str], None]
_GRACE_SECONDS = 5


class _Running(NamedTuple):
    unit: Unit
    process: SpawnProcess
    began: float

    @classmethod
    def start(cls, unit: Unit, jobs: int) -> Self:
        # A process of its own: its peak memory is that of this unit alone, and its crash ends nothing else.
        process = multiprocessing.get_context("spawn").Process(
            target=_measure_into, args=(unit.name, unit.measure, unit.prepare(), unit.path, jobs)
        )
        process.start()
        return cls(unit, process, time.perf_counter())


def measure_each(units: Sequence[Unit], say: Say, jobs: int = 1) -> list[str]:
    """Writes one file per unit, at once when it is done; returns the names of those that failed.

    Args:
        units: are begun in this order, but for those that wait for another one.
        say: takes one line per unit.
        jobs: how many are measured at a time, each with its share of the threads.
    """
    failed: list[str] = []
    start = time.perf_counter()
    jobs = min(jobs, len(units))
    waiting, running = list(units), list[_Running]()
    try:
        while waiting or running:
            while len(running) < jobs and (ready := _first_ready(waiting, running)):
                waiting.remove(ready)
                running.append(_Running.start(ready, jobs))
            ended = connection.wait([entry.process.sentinel for entry in running])
            for entry in [entry for entry in running if entry.process.sentinel in ended]:
                running.remove(entry)
                unit, process, began = entry
                process.join()
                if process.exitcode:
                    failed.append(unit.name)
                now, left = time.perf_counter(), len(waiting) + len(running)
                outcome = f"failed with exit code {process.exitcode}" if process.exitcode else "done"
                say(
                    f"{unit.name}: {outcome} in {now - began:.0f} s; "
                    f"{left} left, about {(now - start) / (len(units) - left) * left / 60:.0f} min"
                )
    except KeyboardInterrupt:
        # A terminal has interrupted them, too: they have a moment to remove what is temporary.
        for entry in running:
            entry.process.join(_GRACE_SECONDS)
            entry.process.terminate()
        raise
    return failed


def _first_ready(waiting: Sequence[Unit], running: Sequence[_Running]) -> Unit | None:
    """The first unit that waits for no other one."""
    open_paths = {unit.path for unit in waiting} | {entry.unit.path for entry in running}
    return next((unit for unit in waiting if unit.after not in open_paths), None)


def _measure_into(name: str, measure: Callable[[Any], Measures], prepared: Any, path: Path, jobs: int) -> None:
    """Runs in a process of its own; errors of the package show as one line."""
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    try:
        result = measure(prepared)
    except UnpoisonError as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # the first process says what is kept
    write_json(path, result)
