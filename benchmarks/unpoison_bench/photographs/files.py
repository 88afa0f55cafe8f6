"""Photographs from the Parquet files, and the folder of JPEG files that users would have of them once poisoned."""

import io
import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder

from unpoison.attacks import PoisonedDataset

from ..data import read_table
from .rows import Row, Source
from .triggers import make_attack

Labels = npt.NDArray[np.int64]

TRAINING_FACES = 8000
"""Rows of CelebA that are cleaned; the rest test networks, as it has no file of test images."""
QUALITY = 95
"""Of the JPEG files that poisoned photographs are saved as."""


class Originals(Dataset[tuple[Image.Image, int]]):
    """Photographs, decoded one at a time, with their class numbers.

    Args:
        images: about so many of them, drawn from each class in its proportion; all when None.

    Attributes:
        classes: their names by number.
        labels: int64 [N].

    Raises:
        DatasetError: the file is missing.
    """

    def __init__(self, source: Source, split: Literal["train", "test"], images: int | None = None) -> None:
        table = read_table(source, "train" if source == "celeba" else split)
        if source == "celeba":
            table = table[:TRAINING_FACES] if split == "train" else table[TRAINING_FACES:]
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        self.classes: list[str] = features["label"]["names"]
        labels: Labels = table["label"].to_numpy().astype(np.int64)
        chosen = np.arange(len(labels)) if images is None else _some(labels, images / len(labels))
        self.labels = labels[chosen]
        self._encoded = table["image"].combine_chunks().field("bytes").take(chosen)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.open(io.BytesIO(self.encoded(index))).convert("RGB"), int(self.labels[index])

    def encoded(self, index: int) -> bytes:
        """The file as it is."""
        data: bytes = self._encoded[index].as_py()
        return data


class Folder(NamedTuple):
    """An image folder of N files, in its own order, and what is known of them."""

    given: ImageFolder
    """Items (PIL image, class number)."""
    position: Labels
    """int64 [N]; where each of them is among the originals."""
    poisoned: npt.NDArray[np.bool_]
    """bool [N]."""
    truth: Labels
    """int64 [N]; class numbers of the folder."""


def poison(row: Row, originals: Originals, seed: int) -> PoisonedDataset | None:
    """The photographs of a row as the attacker has them, before they are saved; None without an attack."""
    if row.trigger is None:
        return None
    target = originals.classes.index(row.target)
    return PoisonedDataset(originals, make_attack(row.trigger), rate=row.rate, target=target, seed=seed)


def write(folder: Path, originals: Originals, data: PoisonedDataset | None) -> Folder:
    """Makes an image folder: what is poisoned is saved as JPEG, the rest keeps its bytes."""
    labels = originals.labels if data is None else np.array(data.targets)
    poisoned = np.zeros(len(originals), bool) if data is None else data.poisoned
    for name in originals.classes:
        (folder / name).mkdir(parents=True)
    for position, label in enumerate(labels):
        encoded = as_jpeg(data[position][0]) if data is not None and poisoned[position] else originals.encoded(position)
        (folder / originals.classes[label] / f"{position:06}.jpg").write_bytes(encoded)
    given = ImageFolder(folder)
    order = np.array([int(Path(path).stem) for path, _ in given.samples])
    numbers = np.array([given.class_to_idx[name] for name in originals.classes])
    return Folder(given, order, poisoned[order], numbers[originals.labels[order]])


def as_jpeg(image: Image.Image) -> bytes:
    """What a photograph is as a file."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def through_jpeg(image: Image.Image) -> Image.Image:
    """What a photograph looks like once it was saved."""
    return Image.open(io.BytesIO(as_jpeg(image)))


def _some(labels: Labels, share: float) -> Labels:
    """int64, ascending: positions of this share of each class, at least two; always the same."""
    rng = np.random.default_rng(0)
    classes = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.sort(np.concatenate([rng.permutation(one)[: max(2, round(share * len(one)))] for one in classes]))
