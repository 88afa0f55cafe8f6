"""How much longer the demo takes on a machine whose cores are all taken by something else.

    python benchmarks/busy_machine.py [--rounds 2] [--out benchmarks/results/busy-machine-cpu.json]

`unpoison demo` and the same call from a script, which cannot set a wait policy before torch is imported, each on the
machine as it is and beside one process per core that computes without end; in turn, several rounds, wall time.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from unpoison.bench.machine import machine_facts

WAYS = {
    "command": [str(Path(sys.executable).with_name("unpoison")), "demo", "--quiet", "--out"],
    "library": [sys.executable, "-c", "import sys, pathlib, torch; from unpoison.demo import run_demo;"
                "run_demo(pathlib.Path(sys.argv[1]), progress=False)"],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    seconds: dict[str, dict[str, list[float]]] = {way: {"idle": [], "busy": []} for way in WAYS}
    for _ in range(arguments.rounds):
        for way, command in WAYS.items():
            seconds[way]["idle"].append(timed(command))
            hogs = [multiprocessing.Process(target=compute, daemon=True) for _ in range(os.cpu_count() or 1)]
            for hog in hogs:
                hog.start()
            seconds[way]["busy"].append(timed(command))
            for hog in hogs:
                hog.kill()
                hog.join()
    result = {
        way: {**{state: statistics.median(taken[state]) for state in taken},
              "ratio": statistics.median(taken["busy"]) / statistics.median(taken["idle"]), "seconds": taken}
        for way, taken in seconds.items()
    }  # fmt: skip
    for way, facts in result.items():
        print(f"{way}: {facts['idle']:.1f} s idle, {facts['busy']:.1f} s busy, {facts['ratio']:.2f} times")
    if arguments.out:
        result["machine"] = machine_facts(torch.device("cpu"))
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def timed(command: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([*command, folder], check=True, capture_output=True)  # noqa: S603
        return time.perf_counter() - start


def compute() -> None:
    while True:
        sum(range(10_000))


if __name__ == "__main__":
    main()
