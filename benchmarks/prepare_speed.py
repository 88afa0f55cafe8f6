"""How much CPU time `prepare()` takes, by stage, in one checkout or in several side by side.

    python benchmarks/prepare_speed.py [--row cifar10-badnets-1] [--seed 1] [--per-class 1000]
                                       [--code now=. before=../before] [--out benchmarks/results/prepare-cpu.json]

Every checkout runs in a process of its own, with one thread, all at the same time: what else the machine does slows
them all. CPU time is of that process and its children; imports and reading the images do not count. `--per-class all`
takes every training image.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from unpoison_bench.scripts import save, script_parser

MEASURE = """
import contextlib, json, resource, sys, tempfile, time
import numpy as np
from unpoison import SanitizedDataset
from unpoison.attacks import ATTACKS, PoisonedDataset
from unpoison_bench.data import load_images
from unpoison_bench.machine import machine_facts, peak_memory_mb
from unpoison_bench.measure import detection
from unpoison_bench.rows import SOURCES, Row
from unpoison.progress import Progress
import torch

def cpu():
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)

stages, stage = {}, Progress.stage

@contextlib.contextmanager
def timed(self, name):
    start = cpu()
    with stage(self, name) as inner:
        yield inner
    stages[name] = stages.get(name, 0.0) + cpu() - start
    print(f"{name}: {stages[name]:.0f} s so far", file=sys.stderr, flush=True)

Progress.stage = timed
name, seed, per_class = json.loads(sys.argv[1])
row = Row.named("core", name)
data = load_images(row.dataset, "train", per_class, seed=0)
if row.attacks:
    attacks = [ATTACKS[attack]() for attack in row.attacks]
    data = PoisonedDataset(data, attacks, rate=row.rate / len(attacks), target=SOURCES[row.dataset].target, seed=seed)
poisoned = getattr(data, "poisoned", np.zeros(len(data), bool))
before = peak_memory_mb()
with tempfile.TemporaryDirectory() as folder:
    start, wall = cpu(), time.perf_counter()
    report = SanitizedDataset(data, cache_dir=folder, seed=seed, progress=False).prepare().report
    facts = {"images": len(data), "cpu_seconds": cpu() - start, "wall_seconds": time.perf_counter() - wall,
             "cpu_seconds_by_stage": stages, "peak_memory_mb": peak_memory_mb(), "peak_memory_before_mb": before,
             "notes": report.notes, "machine": machine_facts(torch.device("cpu"))}
    found = detection(report, poisoned)
    for key in ("average_precision", "tpr", "fpr", "flagged", "restored_share", "clean_restored", "clean_dropped"):
        value = found[key]
        facts[key] = None if value is None or value != value else float(value)
print(json.dumps(facts))
"""


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--row", default="cifar10-badnets-1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-class", default="1000")
    parser.add_argument("--code", nargs="+", default=["now=."], metavar="NAME=CHECKOUT")
    arguments = parser.parse_args()
    per_class = None if arguments.per_class == "all" else int(arguments.per_class)
    job = json.dumps([arguments.row, arguments.seed, per_class])
    running = {}
    for entry in arguments.code:
        name, _, checkout = entry.partition("=")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(checkout).resolve() / "src")}
        command = [sys.executable, "-c", MEASURE, job]
        running[name] = subprocess.Popen(command, env=environment, cwd=checkout, stdout=subprocess.PIPE, text=True)  # noqa: S603
    results = {name: json.loads(process.communicate()[0]) for name, process in running.items()}
    first = next(iter(results.values()))["cpu_seconds"]
    for name, facts in results.items():
        print(f"{name}: {facts['cpu_seconds']:.0f} s of CPU time, {facts['cpu_seconds'] / first:.2f} of the first;")
        print("  " + ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in facts["cpu_seconds_by_stage"].items()))
        print(f"  TPR {facts['tpr']}, FPR {facts['fpr']}, AP {facts['average_precision']}")
    save(arguments, {"row": arguments.row, "seed": arguments.seed, **results})


if __name__ == "__main__":
    main()
