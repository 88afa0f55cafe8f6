"""What pretrained features change: the same poisoned images cleaned without them and with those of EfficientNet-Lite0.

    python benchmarks/efficientnet_lite0.py lite0.safetensors
    UNPOISON_DATA=/path/to/data python benchmarks/pretrained_features.py --features-weights lite0.safetensors

10,000 images of CIFAR-10, BadNets at 1 %, preset "default". M is trained once and shared by both ways. The ceiling of
the restored labels is that of a linear classifier on the features of the true originals of all other images, with
their true labels: its accuracy on the originals of the restored ones. Features are asked for once for each image, at
`--side` pixels; those of the network's training, 224, take twice as long as 160.
"""

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from efficientnet_lite0 import MODEL
from unpoison import FeatureSource, Report, SanitizedDataset, metrics
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.data.labelled import LabelledImages
from unpoison.features import timm_features
from unpoison.restoration.classifier import Classifier
from unpoison.training.frozen import Frozen
from unpoison.training.loop import as_input, on_device, predict_mirrored
from unpoison.training.probe import fit_linear
from unpoison_bench.data import load_images
from unpoison_bench.machine import machine_facts
from unpoison_bench.rows import SOURCES
from unpoison_bench.scripts import save, script_parser

DATASET, RATE, TESTED, BATCH = "cifar10", 0.01, 100, 256
"""TESTED: test images of each class."""
CLASSIFIERS = "stages/classify/*"


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--features-weights", required=True, metavar="FILE", help="what efficientnet_lite0.py wrote")
    parser.add_argument("--side", type=int, default=160, help="pixels that the network sees (default: %(default)s)")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="of poison and cleaning (default: 0)")
    arguments = parser.parse_args()
    source = timm_features(MODEL, arguments.features_weights, side=arguments.side, name="lite0")
    result: dict[str, Any] = {"machine": machine_facts(torch.device("cpu")), "side": arguments.side}
    with tempfile.TemporaryDirectory() as folder:
        for name, features in (("features", source), ("pixels", None)):
            result[name] = {}
            for seed in arguments.seed:
                result[name][str(seed)] = measured = measure(source, features, seed, Path(folder))
                print(f"{name}, seed {seed}: {measured}", flush=True)
                save(arguments, result)


def measure(source: FeatureSource, features: FeatureSource | None, seed: int, cache: Path) -> dict[str, Any]:
    """One way to clean one draw of the poison, and the ceiling."""
    originals = load_images(DATASET, "train", SOURCES[DATASET].per_class)
    poisoned = PoisonedDataset(originals, BadNets(), rate=RATE, target=SOURCES[DATASET].target, seed=seed)
    known, before = features_of(source), set(cache.glob(CLASSIFIERS))
    clean = SanitizedDataset(
        poisoned, features=features, cache_dir=cache, device="cpu", seed=seed, progress=False
    ).prepare()
    [folder] = set(cache.glob(CLASSIFIERS)) - before
    return {
        **facts(clean.report, poisoned, originals),
        "ceiling": ceiling(known, originals.labels, restored(clean.report, poisoned)),
        "accuracy": accuracy(Classifier.load(folder, torch.device("cpu"))),
    }


@functools.cache
def features_of(source: FeatureSource) -> torch.Tensor:
    """float32 [N,D] of the originals."""
    frozen = Frozen(source, torch.device("cpu"))
    images = load_images(DATASET, "train", SOURCES[DATASET].per_class).images
    parts = torch.split(on_device(images, torch.device("cpu")), BATCH)
    return torch.cat([frozen.ask(as_input(part)) for part in parts])


def restored(report: Report, poisoned: PoisonedDataset) -> npt.NDArray[np.int64]:
    """Positions of the poisoned samples that were restored."""
    return np.flatnonzero(poisoned.poisoned & (report.action == "restore"))


def facts(report: Report, poisoned: PoisonedDataset, originals: LabelledImages) -> dict[str, Any]:
    """Detection, and the restored labels."""
    index = restored(report, poisoned)
    return {
        "average_precision": metrics.average_precision(report.score, poisoned.poisoned),
        "tpr": metrics.recall(report.flagged, poisoned.poisoned),
        "fpr": metrics.false_positive_rate(report.flagged, poisoned.poisoned),
        "restored": len(index),
        "lra": metrics.label_restoration_accuracy(report.label[index], originals.labels[index]),
        "timings": report.timings,
        "notes": report.notes,
    }


def ceiling(features: torch.Tensor, labels: npt.NDArray[np.int64], index: npt.NDArray[np.int64]) -> float:
    """Accuracy on chosen originals of a linear classifier that has learned all others, with their true labels."""
    y = torch.from_numpy(labels)
    learned = torch.ones(len(labels), dtype=torch.bool)
    learned[index] = False
    head = fit_linear(features[learned], y[learned], int(y.max()) + 1, 0)
    return float((head(features[index]).argmax(1) == y[index]).float().mean())


def accuracy(classifier: Classifier) -> float | None:
    """Of the classifier that names the classes of restored images, on test images: there are more of them."""
    test = load_images(DATASET, "test", TESTED)
    images = on_device(test.images, torch.device("cpu"))
    answers = predict_mirrored(classifier.model, images, classifier.mirrored).argmax(1).numpy()
    return metrics.accuracy(answers, test.labels)


if __name__ == "__main__":
    main()
