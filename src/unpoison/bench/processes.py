"""Measures one thing after the other, each in a process of its own, and says how long the rest will take."""

import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data.files import publish_bytes
from ..errors import UnpoisonError

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


def measure_each(tasks: Sequence[Task], unit: str, say: Say) -> list[str]:
    """Writes one file per task, at once when it is done; returns the names of those that failed.

    Args:
        unit: what a task is called in the lines of progress, in the plural.
        say: takes one line per task.
    """
    failed: list[str] = []
    start = time.perf_counter()
    for number, task in enumerate(tasks, 1):
        began = time.perf_counter()
        # A process of its own: its peak memory is that of this task alone, and its crash ends nothing else.
        process = multiprocessing.get_context("spawn").Process(
            target=_measure_into, args=(task.name, task.measure, task.prepare(), task.path)
        )
        process.start()
        try:
            process.join()
        except KeyboardInterrupt:
            # A terminal has interrupted it, too: it has a moment to remove what is temporary.
            process.join(_GRACE_SECONDS)
            process.terminate()
            raise
        if process.exitcode:
            failed.append(task.name)
        now = time.perf_counter()
        left = len(tasks) - number
        outcome = f"failed with exit code {process.exitcode}" if process.exitcode else "done"
        say(
            f"{task.name}: {outcome} in {now - began:.0f} s; "
            f"{unit} left: {left}, about {(now - start) / number * left / 60:.0f} min"
        )
    return failed


def _measure_into(name: str, measure: Callable[[Any], dict[str, Any]], prepared: Any, path: Path) -> None:
    """Runs in a process of its own; errors of the package show as one line."""
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
