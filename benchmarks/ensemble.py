"""PD-AutoR, BaB and both together on the same poisoned images: how well each one's score finds the poison.

    python benchmarks/ensemble.py --rows cifar10-badnets-1 cifar10-sig-5 [--seed 1] [--out benchmarks/results]

Rows are named as in the suites, and any attack and percentage will do. Each method runs once; `method="ensemble"` puts
exactly these two verdicts together. Restoration is left out, since detection does not depend on it.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score

from unpoison.attacks import ATTACKS, PoisonedDataset
from unpoison.bench.data import LabelledImages, load_images
from unpoison.bench.machine import machine_facts
from unpoison.bench.measure import plain
from unpoison.bench.rows import SOURCES
from unpoison.config import EnsembleConfig
from unpoison.methods import bab, ensemble, pdautor
from unpoison.progress import Progress


def measure(name: str, seed: int, device: torch.device) -> dict:
    dataset, attacks, *percent = name.split("-")
    source = SOURCES[dataset]
    given = load_images(dataset, "train", source.per_class)
    poisoned = np.zeros(len(given), bool)
    if attacks != "clean":
        chosen = [ATTACKS[attack]() for attack in attacks.split("+")]
        rate = float(percent[0]) / 100 / len(chosen)
        attacked = PoisonedDataset(given, chosen, rate=rate, target=source.target, seed=seed)
        given, poisoned = LabelledImages.of(attacked), attacked.poisoned
    config, classes = EnsembleConfig.preset("default"), int(given.labels.max()) + 1
    found, seconds = {}, {}
    for method, find, settings in (("pdautor", pdautor.find, config.pdautor), ("bab", bab.find, config.bab)):
        start = time.perf_counter()
        common = {"device": device, "seed": seed, "progress": Progress(False)}
        found[method] = find(given.images, given.labels, classes, settings, **common)
        seconds[method] = time.perf_counter() - start
    found["ensemble"] = ensemble.combine(found["pdautor"], found["bab"], given.labels)
    verdicts = {
        method: {
            "average_precision": average_precision_score(poisoned, one.explanation.score) if poisoned.any() else None,
            "tpr": one.flagged[poisoned].mean() if poisoned.any() else None,
            "fpr": one.flagged[~poisoned].mean(),
        }
        for method, one in found.items()
    }
    return plain({"row": name, "seed": seed, "samples": len(poisoned), "poisoned": int(poisoned.sum()),
                  "methods": verdicts, "seconds": seconds, "machine": machine_facts(device)})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    folder = arguments.out / f"ensemble-{arguments.device}-seed{arguments.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.rows:
        result = measure(name, arguments.seed, torch.device(arguments.device))
        (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(name, *(f"{method} {one['average_precision']}" for method, one in result["methods"].items()), flush=True)


if __name__ == "__main__":
    main()
