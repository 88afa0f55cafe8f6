"""How long the page of a large run takes, and how large it is.

    python benchmarks/report_speed.py [--samples 50000] [--flagged 1500] [--out benchmarks/results/report-cpu.json]

The images are those of CIFAR-10 (32 x 32) and of GTSRB (as they come, scaled to 48 x 48 and 64 x 64), repeated until
there are enough; the flagged ones are restored with a white corner. Measured in a fresh process each, in one thread:
saving the report with its pictures, loading it, and writing the page, imports included. Median of several rounds.
"""

import dataclasses
import tempfile
import time

import numpy as np
import torch

from unpoison import Report
from unpoison.data.eight_bit import Levels, to_eight_bit
from unpoison.data.encoded import Encoded
from unpoison.data.pixels import resize
from unpoison.illustration import illustrate
from unpoison.report import ClassEvidence
from unpoison_bench.data import images_file
from unpoison_bench.machine import machine_facts
from unpoison_bench.scripts import Seconds, from_fresh_process, medians, save, script_parser

ROUNDS = 3
SIZES = (("cifar10", 32), ("gtsrb", 48), ("gtsrb", 64))
DRAWN = 2000
WRITE = (
    "import sys, time; start = time.perf_counter(); from unpoison import Report; report = Report.load(sys.argv[1]);"
    "middle, cpu = time.perf_counter(), time.process_time(); path = report.to_html(sys.argv[1] + '/report.html');"
    "print([middle - start, time.perf_counter() - middle, time.process_time() - cpu, path.stat().st_size])"
)


def draw(name: str, side: int) -> np.ndarray:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(images_file(name, "test"), columns=["image"]).slice(0, DRAWN)
    files = table["image"].combine_chunks().field("bytes").to_pylist()
    return np.stack([resize(to_eight_bit(Encoded(data), Levels(), 3).colour, side, side) for data in files])


def make_report(images: np.ndarray, samples: int, count: int) -> Report:
    flagged = np.arange(samples) < count
    everything = images[np.arange(samples) % len(images)]
    restored = everything[:count].copy()
    restored[:, -4:, -4:] = 255
    report = Report(
        score=np.random.default_rng(0).normal(np.where(flagged, 8, -8)).astype(np.float32),
        flagged=flagged, kind=np.where(flagged, "backdoor", ""), action=np.where(flagged, "restore", "keep"),
        label=np.arange(samples) % 43, original_label=np.where(flagged, 0, np.arange(samples) % 43),
        quality=np.ones(samples, np.float32), threshold=0.0, timings={}, config={"method": "pdautor"}, notes=[],
        versions={},
        classes=[
            ClassEvidence(label=label, size=samples // 43, evidence=1.0, poisoned=label == 0, details={"needed": 3.2})
            for label in range(43)
        ],
    )  # fmt: skip
    pictures = illustrate(report, everything, np.arange(count), restored)
    return dataclasses.replace(report, pictures=pictures)


def measure(name: str, side: int, samples: int, count: int) -> dict:
    report = make_report(draw(name, side), samples, count)
    found: Seconds = {"save_s": [], "load_s": [], "html_s": [], "html_cpu_s": [], "html_bytes": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            report.save(folder)
            found["save_s"].append(time.perf_counter() - start)
            taken = from_fresh_process("-c", WRITE, folder)
            for key, value in zip(("load_s", "html_s", "html_cpu_s", "html_bytes"), taken, strict=True):
                found[key].append(value)
    middle = medians(found)
    print(f"{name} {side}: " + ", ".join(f"{key} {value:.3g}" for key, value in middle.items()))
    return {"dataset": name, "side": side, **middle, "rounds": found}


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--flagged", type=int, default=1500)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    facts = machine_facts(torch.device("cpu"))
    rows = [measure(name, side, arguments.samples, arguments.flagged) for name, side in SIZES]
    result = {"samples": arguments.samples, "flagged": arguments.flagged, "rows": rows, "machine": facts}
    save(arguments, result)


if __name__ == "__main__":
    main()
