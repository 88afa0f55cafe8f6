"""A deterministic method that takes milliseconds, and images for it.

Images of class c have 20 c in their first pixel. Poisoned ones have a white last pixel. The method flags those,
copies the neighbour over the pixel and reads the label off the first pixel; the last flagged one fails the quality
check.
"""

import dataclasses
import time
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from unpoison.errors import ConfigError, WorkerPreparationWarning
from unpoison.methods import register
from unpoison.methods.base import MethodInfo, Outcome
from unpoison.report import ClassEvidence, Report

POISONED = (3, 8, 13)
CLASSES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class CornerConfig:
    delay: float = 0.0
    log: str = ""


def run(images, labels, num_classes, *, config, on_poison, restorer, context):
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    with context.stage("detect"):
        time.sleep(config.delay)
        if config.log:
            with Path(config.log).open("a") as file:
                file.write("run\n")
        flagged = (images[:, -1, -1] == 255).all(1)
    index = np.flatnonzero(flagged)
    action = np.where(flagged, on_poison, "keep").astype("U7")
    label = labels.copy()
    if on_poison == "restore":
        action[index[-1:]] = "drop"
        label[flagged] = np.rint(images[flagged, 0, 0, 0] / 20)
        index = index[:-1]
    else:
        index = index[:0]
    label[action == "drop"] = -1
    restored = np.array(images[index])
    restored[:, -1, -1] = restored[:, -1, -2]
    report = Report(
        score=flagged.astype(np.float32),
        flagged=flagged,
        kind=np.where(flagged, "backdoor", ""),
        action=action,
        label=label,
        original_label=labels,
        quality=np.where(flagged, 0.5, 1).astype(np.float32),
        threshold=0.5,
        classes=[
            ClassEvidence(label=c, size=int((labels == c).sum()), evidence=0.0, poisoned=False)
            for c in range(num_classes)
        ],
        timings={"detect": context.progress.timings["detect"]},
        config={"seed": context.seed},
        notes=[],
        versions={},
    )
    return Outcome(report=report, restored_index=index, restored_images=restored, restorer=restorer)


def preset(name):
    if name not in ("default", "fast"):
        raise ConfigError(f"unknown preset {name!r}: choose default or fast")
    return CornerConfig()


register(
    MethodInfo(
        name="corner", run=run, preset=preset, config_class=CornerConfig, on_poison="restore", source="for the tests"
    )
)


def make_images(count=24, size=8, channels=3, seed=0):
    """uint8 [N,H,W,C] with the poison at POISONED, and int64 labels [N], which are 0 there."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 250, (count, size, size, channels), dtype=np.uint8)
    labels = np.arange(count) % CLASSES
    images[:, 0, 0] = (labels * 20)[:, None]
    images[list(POISONED), -1, -1] = 255
    labels[list(POISONED)] = 0
    return images, labels


def collate(batch):
    return [np.array(image) for image, _ in batch]


class FirstAccess(Dataset):
    """Reads a lazy dataset in the worker and notes the warnings."""

    def __init__(self, served):
        self.served = served

    def __len__(self):
        return 2

    def __getitem__(self, index):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            length = len(self.served)
        return length, [str(w.message) for w in caught if w.category is WorkerPreparationWarning]


def first(batch):
    return batch[0]


def repaired(images):
    """The images as the method restores them."""
    out = images.copy()
    out[list(POISONED), -1, -1] = out[list(POISONED), -1, -2]
    return out


def image_folder(images, labels, folder):
    """The images as PNG files, one sub-folder per class, behind transforms that change image and label."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / f"class{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"class{label}" / f"{number:03}.png")
    return ImageFolder(folder, transform=v2.RandomHorizontalFlip(), target_transform=lambda y: y + 10)
