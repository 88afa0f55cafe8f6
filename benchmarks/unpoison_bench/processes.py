"""Measures things, each in a process of its own, and says how long the rest will take."""

import json
import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch

from unpoison.data.files import publish_bytes
from unpoison.errors import UnpoisonError

Say = Callable[[str], None]
_GRACE_SECONDS = 5


class Task(NamedTuple):
    """One thing to be measured."""

    name: str
    path: Path
    """Of the JSON file."""
    prepare: Callable[[], Any]
    """Called in this process when the turn comes; its result is what `measure` gets."""
    measure: Callable[[Any], dict[str, Any]]
    """A function of a module, called in the process of its own."""


class _Running(NamedTuple):
    task: Task
    process: SpawnProcess
    began: float

    @classmethod
    def start(cls, task: Task, jobs: int) -> Self:
        # A process of its own: its peak memory is that of this task alone, and its crash ends nothing else.
        process = multiprocessing.get_context("spawn").Process(
            target=_measure_into, args=(task.name, task.measure, task.prepare(), task.path, jobs)
        )
        process.start()
        return cls(task, process, time.perf_counter())


def measure_each(tasks: Sequence[Task], unit: str, say: Say, jobs: int = 1) -> list[str]:
    """Writes one file per task, at once when it is done; returns the names of those that failed.

    Args:
        unit: what a task is called in the lines of progress, in the plural.
        say: takes one line per task.
        jobs: how many are measured at a time, each with its share of the threads.
    """
    failed: list[str] = []
    start = time.perf_counter()
    jobs = min(jobs, len(tasks))
    waiting, running = deque(tasks), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_Running.start(waiting.popleft(), jobs))
            ended = connection.wait([entry.process.sentinel for entry in running])
            for entry in [entry for entry in running if entry.process.sentinel in ended]:
                running.remove(entry)
                task, process, began = entry
                process.join()
                if process.exitcode:
                    failed.append(task.name)
                now, left = time.perf_counter(), len(waiting) + len(running)
                outcome = f"failed with exit code {process.exitcode}" if process.exitcode else "done"
                say(
                    f"{task.name}: {outcome} in {now - began:.0f} s; "
                    f"{unit} left: {left}, about {(now - start) / (len(tasks) - left) * left / 60:.0f} min"
                )
    except KeyboardInterrupt:
        # A terminal has interrupted them, too: they have a moment to remove what is temporary.
        for entry in running:
            entry.process.join(_GRACE_SECONDS)
            entry.process.terminate()
        raise
    return failed


def _measure_into(name: str, measure: Callable[[Any], dict[str, Any]], prepared: Any, path: Path, jobs: int) -> None:
    """Runs in a process of its own; errors of the package show as one line."""
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    try:
        result = measure(prepared)
    except UnpoisonError as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # the first process says what is kept
    write_json(path, result)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file that is either whole or absent, into a folder that is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    publish_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file, or None where there is none."""
    if not path.exists():
        return None
    value: dict[str, Any] = json.loads(path.read_text())
    return value
