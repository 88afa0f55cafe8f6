"""What a published restorer saves: training one for the poisoned set, or starting from the one in hub_models/.

    UNPOISON_DATA=/path/to/data python benchmarks/warm_start.py [--dataset cifar10] [--out FILE.json]

The flags are right and the trigger is inverted from them, so that only restoration is compared: seconds to train or
adapt a restorer and to restore the flagged images, and the mean absolute error of the pixels that the attack changed.
Both ways are timed in turn, several rounds, and the median counts.
"""

import time
from pathlib import Path

import numpy as np
import torch

from unpoison import Restorer
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.context import Context
from unpoison.data.labelled import LabelledImages
from unpoison.restoration import adapt_restorer, train_restorer
from unpoison.restoration.repair import restore_in_batches
from unpoison.triggers import search_trigger
from unpoison_bench.data import load_images
from unpoison_bench.machine import machine_facts
from unpoison_bench.rows import SOURCES
from unpoison_bench.scripts import medians, save, script_parser

MODELS = Path(__file__).parents[1] / "hub_models"
ATTACKS = {
    "white 3x3 corner": BadNets(),
    "grey 5x5 square, top left": BadNets(size=5, value=96, margin=3, corner="top left"),
    "black 4x4 square, top right": BadNets(size=4, value=0, margin=1, corner="top right"),
}
RATE, ROUNDS = 0.01, 3


def measure(dataset, attack, device):
    source = SOURCES[dataset]
    originals = load_images(dataset, "train", source.per_class)
    poisoned = PoisonedDataset(originals, attack, rate=RATE, target=source.target, seed=0)
    given, flagged = LabelledImages.of(poisoned).images, poisoned.poisoned
    content = np.eye(int(originals.labels.max()) + 1, dtype=np.float32)[poisoned.clean_label]
    trigger = search_trigger(given, flagged, content, Context(device))
    published = Restorer.from_pretrained(MODELS / f"patches-{dataset}")
    changed = given[flagged] != originals.images[flagged]
    common = {"device": device, "seed": 0}
    ways = {
        "trained": lambda: (train_restorer(given, flagged, trigger, **common), "trained"),
        "warm start": lambda: adapt_restorer(published, given, flagged, flagged, trigger, **common),
    }
    seconds, found = {way: [] for way in ways}, {}
    for _ in range(ROUNDS):
        for way, run in ways.items():
            start = time.perf_counter()
            restorer, how = run()
            restored = restore_in_batches(restorer, given, np.flatnonzero(flagged), device)
            seconds[way].append(time.perf_counter() - start)
            error = np.abs(restored.astype(int) - originals.images[flagged])[changed].mean() / 255
            found[way] = {"error": float(error), "how": how}
    median = medians(seconds)
    return {
        "kind": None if trigger is None else trigger.kind,
        "ways": {way: {**found[way], "median_seconds": median[way], "seconds": seconds[way]} for way in ways},
        "time_ratio": median["warm start"] / median["trained"],
        "error_ratio": found["warm start"]["error"] / found["trained"]["error"],
    }


def main():
    parser = script_parser(__doc__, device=True)
    parser.add_argument("--dataset", nargs="+", default=["cifar10", "gtsrb"])
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    result = {"machine": machine_facts(device), "rate": RATE, "rows": {}}
    for dataset in arguments.dataset:
        for name, attack in ATTACKS.items():
            row = result["rows"][f"{dataset}, {name}"] = measure(dataset, attack, device)
            errors = ", ".join(f"{way} {one['error']:.4f}" for way, one in row["ways"].items())
            print(f"{dataset}, {name}: {row['time_ratio']:.3f} of the time; {errors}", flush=True)
    save(arguments, result)


if __name__ == "__main__":
    main()
