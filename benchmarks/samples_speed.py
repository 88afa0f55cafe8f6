"""How long the table of a large run takes to make, write and read, and how much memory.

    python benchmarks/samples_speed.py [--samples 2000000] [--out benchmarks/results/samples-cpu.json]

The report is made up: paths of 1,000 classes, one sample in a hundred flagged. Each round is a process of its own: the
names of the files, the table, both files, and both read back after review, with the check that they are of the dataset.
Median of several rounds; the peak of the memory includes the report and Python with its libraries.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from unpoison import Report
from unpoison.image_files import ImageFiles
from unpoison.samples import check_samples, read_samples, write_samples
from unpoison_bench.machine import MB, machine_facts, peak_memory_mb
from unpoison_bench.scripts import from_fresh_process, medians, save, script_parser

ROUNDS, CLASSES = 3, 1000


def make_report(samples: int, found: dict[str, float]) -> Report:
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, CLASSES, samples))
    flagged = rng.random(samples) < 0.01
    names = [f"n{1440000 + 17 * number:08d}" for number in range(CLASSES)]
    paths = (
        f"/data/imagenet/train/{names[label]}/{names[label]}_{number}.JPEG"
        for number, label in enumerate(labels.tolist())
    )
    start = time.perf_counter()
    files = ImageFiles.of(paths)
    found["names_s"] = time.perf_counter() - start
    return Report(
        score=rng.normal(np.where(flagged, 8, -8)).astype(np.float32), flagged=flagged,
        kind=np.where(flagged, "backdoor", ""), action=np.where(flagged, "drop", "keep"),
        label=np.where(flagged, -1, labels), original_label=labels, quality=np.ones(samples, np.float32),
        reason=np.where(flagged, "unclear", ""), class_names=names, content="0" * 64, files=files, threshold=0.0,
        classes=[], timings={}, config={}, notes=[], versions={},
    )  # fmt: skip


def measure(samples: int) -> dict[str, float]:
    # All of it, so that no figure includes an import.
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    found: dict[str, float] = {}
    report = make_report(samples, found)
    start = time.perf_counter()
    table = report.samples()
    found["table_s"] = time.perf_counter() - start
    found["table_bytes"] = table.nbytes
    reviewed = table.append_column("keep", pa.array(np.zeros(samples, bool)))
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("parquet", "csv"):
            path = Path(folder, f"samples.{kind}")
            start = time.perf_counter()
            write_samples(table, path)
            found[f"{kind}_s"], found[f"{kind}_bytes"] = time.perf_counter() - start, path.stat().st_size
            write_samples(reviewed, path)
            start = time.perf_counter()
            again = read_samples(path)
            check_samples(again, content=report.content, labels=report.original_label, names=report.class_names)
            found[f"read_{kind}_s"] = time.perf_counter() - start
    found["peak_bytes"] = peak_memory_mb() * MB
    return found


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--samples", type=int, default=2_000_000)
    parser.add_argument("--round", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.round:
        print(json.dumps(measure(arguments.samples)))
        return
    facts = machine_facts(torch.device("cpu"))
    rounds = [from_fresh_process(__file__, "--round", "--samples", str(arguments.samples)) for _ in range(ROUNDS)]
    found = medians({name: [each[name] for each in rounds] for name in rounds[0]})
    print(", ".join(f"{name} {value:.3g}" for name, value in found.items()))
    result = {"samples": arguments.samples, **found, "rounds": rounds, "machine": facts}
    save(arguments, result)


if __name__ == "__main__":
    main()
