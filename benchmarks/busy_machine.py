"""How much longer the demo takes on a machine whose cores are all taken by something else.

    python benchmarks/busy_machine.py [--rounds 2] [--out benchmarks/results/busy-machine-cpu.json]

`unpoison demo` on the machine as it is, and beside one process per core that computes without end; in turn, several
rounds, wall time.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from unpoison_bench.machine import machine_facts
from unpoison_bench.scripts import Seconds, medians, save, script_parser

COMMAND = [str(Path(sys.executable).with_name("unpoison")), "demo", "--quiet", "--out"]


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    seconds: Seconds = {"idle": [], "busy": []}
    for _ in range(arguments.rounds):
        seconds["idle"].append(timed())
        hogs = [multiprocessing.Process(target=compute, daemon=True) for _ in range(os.cpu_count() or 1)]
        for hog in hogs:
            hog.start()
        seconds["busy"].append(timed())
        for hog in hogs:
            hog.kill()
            hog.join()
    idle, busy = medians(seconds).values()
    print(f"{idle:.1f} s idle, {busy:.1f} s busy, {busy / idle:.2f} times")
    facts = machine_facts(torch.device("cpu"))
    save(arguments, {"idle": idle, "busy": busy, "ratio": busy / idle, "seconds": seconds, "machine": facts})


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
