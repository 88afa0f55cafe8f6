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
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from unpoison.data.files import copy_files
from unpoison.data.store import ImageStore
from unpoison.errors import ConfigError, WorkerPreparationWarning
from unpoison.explanation.found import Found
from unpoison.explanation.verdict import Explanation
from unpoison.methods import register
from unpoison.methods.base import MethodInfo
from unpoison.report import ClassEvidence
from unpoison.restoration import DEFAULT, RestorationConfig
from unpoison.restoration.repair import Repair
from unpoison.stages import Stage, register_stage
from unpoison.stages.restore import RESTORER, Restored, Treatment, spare
from unpoison.training.backbones import create_backbone

POISONED = (3, 8, 13)
CLASSES = 3


FLAGGED = 0.5
"""Score above which samples are flagged."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CornerConfig:
    delay: float = 0.0
    log: str = ""
    restoration: RestorationConfig = DEFAULT


def is_flagged(images):
    return (images[:, -1, -1] == 255).all(1)


def found_by_hand(images, labels, num_classes, **changes):
    """What is flagged are the images with a white last pixel."""
    flagged = is_flagged(images)
    torch.manual_seed(0)
    values = {
        "explanation": Explanation(
            score=flagged.astype(np.float32), kind=np.full(len(labels), "backdoor"), findings=[]
        ),
        "threshold": FLAGGED,
        "classes": [
            ClassEvidence(label=c, size=int((labels == c).sum()), evidence=0.0, poisoned=False)
            for c in range(num_classes)
        ],
        "model": create_backbone("conv5", images.shape[3], num_classes, 1),
        "notes": [],
    }
    return Found(**{**values, **changes})


def find_corners(inputs, out, config, context):
    store = ImageStore.open(inputs["store"])
    assert store.images.dtype == np.uint8
    assert store.labels.dtype == np.int64
    with context.stage("detect"):
        time.sleep(config.delay)
        if config.log:
            with Path(config.log).open("a") as file:
                file.write("run\n")
        found_by_hand(store.images, store.labels, store.num_classes).save(out)


def restore_corners(inputs, out, treatment, context):
    store, found = ImageStore.open(inputs["store"]), Found.load(inputs["found"], torch.device("cpu"))
    flagged, _ = spare(found, store.labels, treatment.spared)
    index, action = np.flatnonzero(flagged), np.where(flagged, treatment.on_poison, "keep").astype("U7")
    label = store.labels.copy()
    if treatment.on_poison == "restore":
        action[index[-1:]] = "drop"
        label[flagged] = np.rint(store.images[flagged, 0, 0, 0] / 20)
        index = index[:-1]
    else:
        index = index[:0]
    label[action == "drop"] = -1
    restored = np.array(store.images[index])
    restored[:, -1, -1] = restored[:, -1, -2]
    repair = Repair(
        action=action, label=label, quality=np.where(flagged, 0.5, 1).astype(np.float32),
        reason=np.full(len(label), ""), restored_index=index, restored_images=restored, restorer=None, notes=[],
    )  # fmt: skip
    Restored(repair, [], None).save(out)
    if RESTORER in inputs:
        copy_files(inputs[RESTORER], out / RESTORER)


FIND = register_stage(Stage(name="corner-find", makes="what was detected", run=find_corners, config_class=CornerConfig))
RESTORE = register_stage(
    Stage(name="corner-restore", makes="what was restored", run=restore_corners, config_class=Treatment)
)


def find(inputs, config, executor, context):
    return executor.run(FIND, inputs, config, context)


def finish(inputs, treatment, executor, context):
    return executor.run(RESTORE, inputs, treatment, context)


def preset(name):
    if name not in ("default", "fast"):
        raise ConfigError(f"unknown preset {name!r}: choose default or fast")
    return CornerConfig()


register(
    MethodInfo(
        name="corner", find=find, finish=finish, preset=preset, config_class=CornerConfig, on_poison="restore",
        source="for the tests",
    )
)  # fmt: skip


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
