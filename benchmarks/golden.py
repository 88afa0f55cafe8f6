"""Whether twelve small runs give the same results as before, to the byte, on the same machine.

    python benchmarks/golden.py record before.json
    python benchmarks/golden.py compare before.json

Recorded are the arrays of the report, the findings, the checksums of the shards and the samples that are served, for
both methods, the ensemble and a published detector, for the presets, for every kind of trigger, and for arrays,
folders and Hugging Face datasets. Another machine may compute other last bits: `before.json` is for the one at hand.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from unpoison import SanitizedDataset
from unpoison.attacks import SIG, Attack, BadNets, Blend, PoisonedDataset, WaNet
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison_bench.data import load_images

PATCH = BadNets(size=2)
ARRAYS = ("score", "flagged", "kind", "action", "label", "original_label", "quality", "reason", "votes", "duplicate_of")


def digits(attack: Attack | None = PATCH) -> Any:
    data = load_digits()
    part = LabelledImages(data.images[:900], data.labels[:900])
    return part if attack is None else PoisonedDataset(part, attack, rate=0.06, target=0, seed=1)


def photographs(attack: Attack, rate: float) -> Any:
    return PoisonedDataset(load_images("cifar10", "train", 150, seed=0), attack, rate=rate, target=0, seed=1)


def mislabelled() -> LabelledImages:
    clean = digits(None)
    labels = clean.labels.copy()
    labels[::25] = (labels[::25] + 3) % 10
    return LabelledImages(clean.images, labels)


def as_folder(data: Any, folder: Path) -> Any:
    from torchvision.datasets import ImageFolder

    for number, (image, label) in enumerate(data):
        place = folder / f"digit {label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(image)[..., 0]).save(place / f"{number:04}.png")
    return ImageFolder(str(folder))


def as_table(data: Any) -> Any:
    import datasets

    items = list(data)
    return datasets.Dataset.from_dict(
        {"picture": [Image.fromarray(np.asarray(image)[..., 0]) for image, _ in items], "y": [int(y) for _, y in items]}
    )


RUNS: dict[str, tuple[Callable[[Path], Any], dict[str, Any]]] = {
    "digits-badnets-fast": (lambda _: digits(), {"config": "fast"}),
    "digits-badnets-default": (lambda _: digits(), {}),
    "digits-badnets-drop": (lambda _: digits(), {"config": "fast", "on_poison": "drop", "max_altered": 0.05}),
    "digits-bab-fast": (lambda _: digits(), {"method": "bab", "config": "fast", "on_poison": "restore"}),
    "digits-ensemble-fast": (lambda _: digits(), {"method": "ensemble", "config": "fast"}),
    "digits-clean-default": (lambda _: digits(None), {}),
    "digits-mislabelled": (lambda _: mislabelled(), {"config": "fast", "keep": [25, 50]}),
    "digits-scan-table": (lambda _: as_table(digits()), {"method": "scan", "config": "fast"}),
    "digits-blend-folder": (lambda folder: as_folder(digits(Blend()), folder / "images"), {"config": "fast"}),
    "photographs-sig": (lambda _: photographs(SIG(), 0.04), {"config": "fast"}),
    "photographs-wanet": (lambda _: photographs(WaNet(), 0.08), {"config": "fast"}),
    "photographs-moving": (lambda _: photographs(BadNets(dynamic=True), 0.05), {}),
}


def digest(*values: Any) -> str:
    found = hashlib.sha256()
    for value in values:
        found.update(np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else str(value).encode())
    return found.hexdigest()[:16]


def measure(name: str) -> dict[str, Any]:
    build, options = RUNS[name]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        dataset = SanitizedDataset(build(Path(folder)), cache_dir=Path(folder) / "cache", progress=False, **options)
        report = dataset.prepare().report
        items = [item.values() if isinstance(item, dict) else item for item in dataset]
        [shards] = (Path(folder) / "cache" / "runs").glob("*/shards")
        return {
            "suspicious": int(report.flagged.sum()),
            "restored": int((report.action == "restore").sum()),
            "findings": [note for note in report.notes if "share a trigger" in note],
            "served": digest(*(np.asarray(part) for item in items for part in item)),
            "shards": digest((shards / "SHA256SUMS").read_text()),
            "classes": digest([(e.label, e.evidence, e.poisoned, e.status) for e in report.classes]),
            **{array: digest(np.asarray(getattr(report, array))) for array in ARRAYS},
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), metavar="RUN")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    before = json.loads(arguments.file.read_text()) if arguments.file.exists() else {}
    differing = []
    for name in arguments.runs:
        if arguments.action == "record" and name in before:
            continue
        found = measure(name)
        print(name, json.dumps({key: found[key] for key in ("suspicious", "restored", "findings")}), flush=True)
        if arguments.action == "record":
            before[name] = found
            arguments.file.write_text(json.dumps(before, indent=1))
        elif found != before[name]:
            other = [key for key in found if found[key] != before[name].get(key)]
            print(f"{name}: other than before: {', '.join(other)}", flush=True)
            differing.append(name)
    if arguments.action == "compare":
        print(f"{len(arguments.runs) - len(differing)} of {len(arguments.runs)} are the same")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
