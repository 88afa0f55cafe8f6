"""How long a cleaned set takes to open again, and how fast images of 224 pixels are served from it.

    python benchmarks/opening_speed.py [--images 50000] [--out benchmarks/results/opening-cpu.json]

- open: seconds, of the clock and of all processors, and peak memory of `SanitizedDataset(ImageFolder).prepare()` in
  fresh processes: of the first survey, which reads every file; of opening the result again; of the same with
  `reread="all"`; and of the survey after one file of a hundred has changed. The time of `ImageFolder`, which lists
  the files, stands beside.
- access: images per second of processor time, in random order and in one process, of torchvision's `ImageFolder` and of
  a prepared `SanitizedDataset` of it, over JPEG files of 224 x 224 pixels.

The images are made up: enlarged noise, compressed as photographs are. Those that are only opened have 32 x 32 pixels,
since what is read of a file does not depend on that. A method that flags nothing stands in for the
registered ones.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from unpoison import SanitizedDataset
from unpoison.data.access import RawView
from unpoison.data.index import Index
from unpoison.data.surveying import survey
from unpoison.errors import ThinEvidenceWarning
from unpoison_bench.machine import machine_facts, peak_memory_mb
from unpoison_bench.scripts import from_fresh_process, in_turn, medians, save, script_parser
from unpoison_bench.toy import register_every

ROUNDS, CLASSES, MADE, AGE = 5, 10, 500, 3600
SIDE, SERVED, OPENED_SIDE = 224, 1000, 32
LINES = {
    "first survey": "survey",
    "open again": "changed",
    "open again, reread=all": "all",
    "survey, 1 of 100 changed": "survey",
}


register_every()


def make_files(folder: Path, count: int, side: int) -> None:
    """JPEG files, each with bytes of its own, which are as old as those of a dataset."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    made = []
    for number in range(min(count, MADE)):
        noise = Image.fromarray(rng.integers(0, 256, (28, 28, 3), dtype=np.uint8))
        path = folder / f"{number}.jpg"
        noise.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=85)
        made.append(path.read_bytes())
        path.unlink()
    for number in range(count):
        place = folder / f"{number % CLASSES}"
        place.mkdir(exist_ok=True)
        path = place / f"{number:06}.jpg"
        # What follows the image is not decoded.
        path.write_bytes(made[number % len(made)] + number.to_bytes(4, "big"))
        os.utime(path, (time.time() - AGE,) * 2)


def change_some(folder: Path) -> None:
    for path in sorted(folder.glob("*/*.jpg"))[::100]:
        path.write_bytes(path.read_bytes() + b"0")
        os.utime(path, (time.time() - AGE / 2,) * 2)


def open_once(folder: Path, what: str) -> dict:
    """In this process: seconds, and the peak of memory before and after."""
    warnings.simplefilter("ignore", ThinEvidenceWarning)
    torch.set_num_threads(1)
    start = time.perf_counter()
    dataset = ImageFolder(folder)
    listed, used, before = time.perf_counter(), sum(os.times()[:4]), peak_memory_mb()
    if what == "survey":
        view = RawView(dataset)
        survey(view, index=Index(Path(os.environ["UNPOISON_CACHE"]), view.origins()))
    else:
        SanitizedDataset(dataset, "every", progress=False, reread=what).prepare()
    return {
        "list_seconds": listed - start,
        "seconds": time.perf_counter() - listed,
        "processor_seconds": sum(os.times()[:4]) - used,
        "peak_mb": peak_memory_mb(),
        "peak_mb_before": before,
    }


def in_fresh_process(folder: Path, what: str) -> dict:
    return from_fresh_process(__file__, "--folder", str(folder), "--open", what)


def measure_open(folder: Path, cache: Path) -> dict:
    found: dict[str, list[dict]] = {"first survey": [in_fresh_process(folder, "survey")]}
    (index,) = cache.glob("index/*.npz")
    for _ in range(2):  # further first surveys, of files that lie in memory
        kept = index.read_bytes()
        index.unlink()
        found["first survey"].append(in_fresh_process(folder, "survey"))
    index.write_bytes(kept)
    in_fresh_process(folder, "changed")  # cleans
    for name in ("open again", "open again, reread=all"):
        found[name] = [in_fresh_process(folder, LINES[name]) for _ in range(ROUNDS if name == "open again" else 1)]
    kept = index.read_bytes()
    change_some(folder)
    found["survey, 1 of 100 changed"] = []
    for _ in range(3):
        index.write_bytes(kept)
        found["survey, 1 of 100 changed"].append(in_fresh_process(folder, "survey"))
    middle = {
        name: medians({key: [entry[key] for entry in entries] for key in entries[0]}) for name, entries in found.items()
    }
    for name, entry in middle.items():
        seconds, used = entry["seconds"], entry["processor_seconds"]
        shares = [entry[key] / middle["first survey"][key] for key in ("seconds", "processor_seconds")]
        print(
            f"{name:28s} {seconds:7.2f} s ({shares[0]:.3f}), of processors {used:7.2f} s ({shares[1]:.3f}), peak "
            f"{entry['peak_mb']:.0f} MB"
        )
    return {"medians": middle, "rounds": found, "index_bytes": index.stat().st_size}


def measure_access(folder: Path) -> dict:
    dataset = ImageFolder(folder)
    served = SanitizedDataset(dataset, "every", progress=False).prepare()
    order = np.random.default_rng(0).permutation(len(dataset)).tolist()

    def read(items) -> None:
        for position in order:
            items[position]

    ways = {"ImageFolder": partial(read, dataset), "SanitizedDataset": partial(read, served)}
    # Of the processor, not of the clock: other programs may run.
    seconds = in_turn(ways, 2 * ROUNDS, time.process_time)
    rates = {name: [len(order) / taken for taken in values] for name, values in seconds.items()}
    middle = medians(rates)
    ratios = [b / a for a, b in zip(*rates.values(), strict=True)]
    ratio = statistics.median(ratios)
    print(f"access: {middle}, {ratio:.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")
    return {"side": SIDE, "images_per_second": middle, "ratio": ratio, "rounds": rates}


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--open", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        print(json.dumps(open_once(arguments.folder, arguments.open)))
        return

    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ThinEvidenceWarning)
    facts = machine_facts(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["UNPOISON_CACHE"] = f"{scratch}/cache"
        many, large = Path(scratch) / "many", Path(scratch) / "large"
        make_files(large, SERVED, SIDE)
        access = measure_access(large)
        shutil.rmtree(Path(scratch) / "cache")
        make_files(many, arguments.images, OPENED_SIDE)
        result = {
            "images": arguments.images, "open": measure_open(many, Path(scratch) / "cache"), "access": access,
            "machine": facts,
        }  # fmt: skip
    save(arguments, result)


if __name__ == "__main__":
    main()
