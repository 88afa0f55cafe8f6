"""What the free-standing scripts in `benchmarks/` have in common: options, rounds, processes and JSON."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .results import write_json

Seconds = dict[str, list[float]]
"""Of each way, by round."""


def script_parser(doc: str | None, *, device: bool = False, out: str | None = None) -> argparse.ArgumentParser:
    """Describes a script by the first line of its docstring. Has --out, by default `out`, and, where asked for,
    --device."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    if device:
        parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", default=out, help=f"JSON file of the result (default: {out or 'none'})"
    )
    return parser


def save(arguments: argparse.Namespace, result: Any) -> None:
    """Writes the result where --out says."""
    if arguments.out:
        write_json(arguments.out, result)


def in_turn(
    ways: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> Seconds:
    """Times ways in turn. A first round, which warms up, does not count."""
    seconds: Seconds = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = clock()
            way()
            taken = clock() - start
            if number:
                seconds[name].append(taken)
    return seconds


def medians(rounds: Mapping[str, list[float]]) -> dict[str, float]:
    """Of what was measured in several rounds, by name."""
    return {name: statistics.median(values) for name, values in rounds.items()}


def from_fresh_process(*arguments: str) -> Any:
    """The JSON that Python prints in a process of its own."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)  # noqa: S603
    return json.loads(done.stdout)
