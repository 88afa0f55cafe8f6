"""Makes the data of a set: images as they were, images as they come, and what is wrong with them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.data import Dataset

from unpoison.attacks import Attack, PoisonedDataset
from unpoison.data.labelled import LabelledImages

from ..shapes import of_shape, pixels_of
from .cases import Case
from .drawing import draw, draw_test
from .triggers import make_attack


class Photographs(Dataset[tuple[Image.Image, int]]):
    """Pictures of several sizes and modes with their labels, int64 [N], as a folder of files gives them."""

    def __init__(self, pictures: Sequence[Image.Image], labels: npt.NDArray[np.int64]) -> None:
        self.pictures, self.labels = list(pictures), labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.pictures[index], int(self.labels[index])


class Loaded(NamedTuple):
    """The data of a set, N samples."""

    originals: LabelledImages | Photographs
    """Before the attacks; labels as they were given."""
    given: LabelledImages | Photographs
    """As it is cleaned."""
    poisoned: npt.NDArray[np.bool_]
    """bool [N]."""
    wrong: npt.NDArray[np.bool_]
    """bool [N]: samples without poison whose label is wrong."""
    attacks: list[Attack]
    """Fitted."""


def load(case: Case, seed: int = 0) -> Loaded:
    """Reads and poisons the images of a set.

    Args:
        seed: added to that of the choice of poisoned images.

    Raises:
        DatasetError: a file is missing, or holds too few images.
    """
    pictures, labels, wrong = draw(case)
    originals = _dataset(pictures, labels, sized=case.draw.longest is None)
    poison = case.poison
    if poison is None:
        return Loaded(originals, originals, np.zeros(len(labels), bool), wrong, [])
    attacks = [make_attack(name) for name in poison.attacks]
    data = PoisonedDataset(
        originals, attacks, rate=poison.rate / len(attacks), target=poison.target, seed=poison.seed + seed
    )
    given: LabelledImages | Photographs
    if isinstance(originals, LabelledImages):
        given = LabelledImages.of(data)
    else:
        items = [data[index] for index in range(len(data))]
        given = Photographs([item[0] for item in items], np.array([item[1] for item in items], np.int64))
    return Loaded(originals, given, data.poisoned, wrong & ~data.poisoned, attacks)


def load_test(case: Case, shape: tuple[int, ...]) -> LabelledImages:
    """Test images of the set's classes, all of one shape [H,W,C].

    Raises:
        DatasetError: a file is missing.
    """
    pictures, labels, _ = draw_test(case)
    return of_shape(Photographs(pictures, labels), shape)


def _dataset(pictures: list[Image.Image], labels: npt.NDArray[np.int64], sized: bool) -> LabelledImages | Photographs:
    if not sized:
        return Photographs(pictures, labels)
    return LabelledImages(np.stack([pixels_of(picture) for picture in pictures]), labels)
