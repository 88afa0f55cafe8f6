"""How much longer the demo takes on a machine whose cores are all taken by something else.

    python benchmarks/busy_machine.py [--rounds 2] [--out benchmarks/results/busy-machine-cpu.json]

`unpoison demo` on the machine as it is, and beside one process per core that computes without end; in turn, several
rounds, wall time.
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

from unpoison_bench.machine import machine_facts

COMMAND = [str(Path(sys.executable).with_name("unpoison")), "demo", "--quiet", "--out"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {"idle": [], "busy": []}
    for _ in range(arguments.rounds):
        seconds["idle"].append(timed())
        hogs = [multiprocessing.Process(target=compute, daemon=True) for _ in range(os.cpu_count() or 1)]
        for hog in hogs:
            hog.start()
        seconds["busy"].append(timed())
        for hog in hogs:
            hog.kill()
            hog.join()
    idle, busy = (statistics.median(taken) for taken in seconds.values())
    print(f"{idle:.1f} s idle, {busy:.1f} s busy, {busy / idle:.2f} times")
    result = {"idle": idle, "busy": busy, "ratio": busy / idle, "seconds": seconds}
    if arguments.out:
        result["machine"] = machine_facts(torch.device("cpu"))
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def timed() -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([*COMMAND, folder], check=True, capture_output=True)  # noqa: S603
        return time.perf_counter() - start


def compute() -> None:
    while True:
        sum(range(10_000))


if __name__ == "__main__":
    main()
