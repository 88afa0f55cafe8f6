"""How fast cleaned data is served, beside what it replaces, in turn and on the same images.

    python benchmarks/serving_speed.py [--dataset cifar10] [--images 10000] [--out benchmarks/results/serving-cpu.json]

- map: rows per second of a fitted sanitizer under `datasets.Dataset.map`, where no row is restored and where one of a
  hundred is;
- access: items per second, in random order, of torchvision's `ImageFolder`, of a prepared `SanitizedDataset` of it and
  of its reopened shards, in one process and through a DataLoader with two workers;
- import: seconds that `import torch`, `import unpoison` and the import of `SanitizedDataset` take in fresh processes.

Each figure is the median of several rounds, in one thread. A method that restores every hundredth image, and takes no
time, stands in for the registered ones: how long cleaning takes, other benchmarks measure.
"""

import os
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from unpoison import SanitizedDataset, Sanitizer
from unpoison.data.encoded import Encoded
from unpoison.errors import ThinEvidenceWarning
from unpoison_bench.data import images_file
from unpoison_bench.machine import machine_facts
from unpoison_bench.scripts import Seconds, from_fresh_process, in_turn, medians, save, script_parser
from unpoison_bench.toy import EveryConfig, register_every

ROUNDS, BATCH = 5, 256
SOME = EveryConfig(every=100)


def write_folder(name: str, count: int, folder: Path) -> ImageFolder:
    """The first images of a dataset, as the files that they are, in one sub-folder per class."""
    table = pyarrow.parquet.read_table(images_file(name, "train")).slice(0, count)
    for number, row in enumerate(table.select(["image", "label"]).to_pylist()):
        place = folder / f"{row['label']:02}"
        place.mkdir(exist_ok=True)
        data = row["image"]["bytes"]
        (place / f"{number:06}.{Encoded(data).extension}").write_bytes(data)
    return ImageFolder(folder)


def rates(ways: dict[str, Callable[[], None]], count: int, what: str) -> dict:
    """Items per second of each way: all rounds, and the median. A first round, which warms up, does not count."""
    found = {name: [count / taken for taken in values] for name, values in in_turn(ways, ROUNDS).items()}
    middle = medians(found)
    first = next(iter(middle.values()))
    for name, rate in middle.items():
        print(f"{what}: {name:26s} {rate:8.0f} images/s, {rate / first:.2f}")
    return {"images_per_second": middle, "rounds": found}


def measure_map(folder: ImageFolder) -> dict:
    files = [{"bytes": Path(path).read_bytes(), "path": None} for path, _ in folder.samples]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=folder.classes)})
    table = datasets.Dataset.from_dict({"image": files, "label": folder.targets}, features=features)

    def run(sanitizer: Sanitizer) -> Callable[[], None]:
        sanitizer.fit(table)
        return lambda: table.map(sanitizer, batched=True, with_indices=True) and None

    ways = {
        "no row restored": run(Sanitizer("every", config=SOME, on_poison="keep")),
        "1 of 100 restored": run(Sanitizer("every", config=SOME)),
    }
    return rates(ways, len(table), "map")


def measure_access(folder: ImageFolder) -> dict:
    served = SanitizedDataset(folder, "every", config=SOME).prepare()
    sets = {
        "ImageFolder": folder,
        "SanitizedDataset": served,
        "its shards": SanitizedDataset.from_shards(served.shards[0].parent),
    }
    order = np.random.default_rng(0).permutation(len(folder)).tolist()

    def one_by_one(dataset) -> None:
        for position in order:
            dataset[position]

    def two_workers(dataset) -> None:
        # Images stay in the workers: what moves them is the same for all.
        for _ in DataLoader(dataset, BATCH, sampler=order, num_workers=2, collate_fn=len):
            pass

    return {
        what: rates({name: partial(way, one) for name, one in sets.items()}, len(order), what)
        for what, way in (("one process", one_by_one), ("two workers", two_workers))
    }


def measure_import() -> dict:
    lines = ("import torch", "import unpoison", "from unpoison import SanitizedDataset")
    found: Seconds = {line: [] for line in lines}
    for round_number in range(ROUNDS + 1):
        for line in lines:
            program = f"import time; start = time.perf_counter(); {line}; print(time.perf_counter() - start)"
            taken = from_fresh_process("-c", program)
            if round_number:
                found[line].append(taken)
    middle = medians(found)
    for line, seconds in middle.items():
        print(f"{line:40s} {seconds:.3f} s, {seconds / middle['import torch']:.2f}")
    return {"seconds": middle, "rounds": found}


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--dataset", choices=("cifar10", "gtsrb", "clothing"), default="cifar10")
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    datasets.disable_caching()  # else every round but the first would read what that one wrote
    datasets.disable_progress_bars()
    warnings.simplefilter("ignore", ThinEvidenceWarning)
    register_every()
    facts = machine_facts(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["UNPOISON_CACHE"] = f"{scratch}/cache"
        (Path(scratch) / "images").mkdir()
        folder = write_folder(arguments.dataset, arguments.images, Path(scratch) / "images")
        result = {
            "dataset": arguments.dataset, "images": len(folder), "map": measure_map(folder),
            "access": measure_access(folder), "import": measure_import(), "machine": facts,
        }  # fmt: skip
    save(arguments, result)


if __name__ == "__main__":
    main()
