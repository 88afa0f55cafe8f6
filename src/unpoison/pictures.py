"""What a report shows: the most suspicious images before and after, and where the images of each class changed.

Saved beside the report's arrays, without pickle. The files may come from strangers: types, shapes and sizes are
checked before anything is used.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .data.checksums import Checked
from .data.reading import parsing

FILE = "pictures.npz"
MAX_IMAGES, MAX_CLASSES = 500, 24
_MAX_FILE, _MAX_SIDE = 1 << 25, 256
_SCHEMA = {
    "index": ("i", 1), "before": ("u", 4), "after": ("u", 4), "files": ("U", 1), "kinds": ("U", 1), "images": ("i", 1),
    "classes": ("i", 1), "changes": ("f", 3),
}  # fmt: skip


class Footprint(NamedTuple):
    """Where the poison of some classes changes the pixels."""

    classes: list[int]
    """The labels that the poisoned images came with."""
    kind: str
    """Of the explanation, "patch" or the like; "" where there is none."""
    images: int
    """Restored images whose change is averaged; 0 where the explanation was stamped on other images."""
    change: npt.NDArray[np.float32]
    """float32 [H,W]; mean absolute change in grey levels, 0..255."""


def stacked(footprints: Sequence[Footprint]) -> npt.NDArray[np.float32]:
    """float32 [M,H,W]; the changes of several."""
    return np.array([footprint.change for footprint in footprints] or np.empty((0, 0, 0)), np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """The M most suspicious of the flagged images at working size, most suspicious first."""

    index: npt.NDArray[np.int64]
    """int64 [M]; positions in the dataset."""
    before: npt.NDArray[np.uint8]
    """uint8 [M,H,W,C]."""
    after: npt.NDArray[np.uint8]
    """uint8 [M,H,W,C]; zeros where the image was not restored."""
    files: list[str]
    """Name of each image's file with its folder; "" where it has none."""
    footprints: list[Footprint]
    """The classes with most restored images first."""

    def save(self, folder: Path) -> None:
        """Writes `pictures.npz`."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "index": self.index,
            "before": self.before,
            "after": self.after,
            "files": np.array(self.files, np.str_),
            "kinds": np.array([footprint.kind for footprint in self.footprints], np.str_),
            "images": np.array([footprint.images for footprint in self.footprints], np.int64),
            "classes": np.concatenate([[0, 0], *([n, c] for n, f in enumerate(self.footprints) for c in f.classes)]),
            "changes": stacked(self.footprints),
        }
        np.savez(folder / FILE, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, files: Checked, samples: int) -> Self | None:
        """Reads what `save` wrote beside a report on so many samples; None where there is no such file.

        Raises:
            DamagedError: it is damaged, or not what `save` writes.
        """
        if not files.has(FILE):
            return None
        found = files.arrays(FILE, _SCHEMA, limit=_MAX_FILE)
        with parsing(files.folder / FILE):
            _check(found, samples)
        pairs = found["classes"].reshape(-1, 2)[1:].tolist()
        footprints = [
            Footprint([label for place, label in pairs if place == number], str(kind), int(count), change)
            for number, (kind, count, change) in enumerate(
                zip(found["kinds"], found["images"], found["changes"], strict=True)
            )
        ]
        return cls(found["index"], found["before"], found["after"], found["files"].tolist(), footprints)


def _check(found: dict[str, npt.NDArray[Any]], samples: int) -> None:
    """Arrays from a file may be of any length and size.

    Raises:
        ValueError: these are not the ones of pictures.
    """
    index, before, changes = found["index"], found["before"], found["changes"]
    if before.dtype != np.uint8 or found["after"].dtype != np.uint8 or found["after"].shape != before.shape:
        raise ValueError("the images before and after are not of one size")
    if before.shape[3] not in (1, 3) or not all(0 < side <= _MAX_SIDE for side in before.shape[1:3]):
        raise ValueError("the images are not of a size that a report shows")
    if not len(index) == len(before) == len(found["files"]) <= MAX_IMAGES or len(np.unique(index)) != len(index):
        raise ValueError("the pictures have the wrong number of images")
    if len(index) and not 0 <= index.min() <= index.max() < samples:
        raise ValueError("the pictures are of other samples")
    count = len(found["kinds"])
    if not count == len(found["images"]) == len(changes) <= MAX_CLASSES or len(found["classes"]) % 2:
        raise ValueError("the classes' changes are not of one length")
    if count and (changes.dtype != np.float32 or changes.shape[1:] != before.shape[1:3]):
        raise ValueError("the classes' changes are not of the images' size")
    if not np.isfinite(changes).all():
        raise ValueError("the classes' changes are not numbers")
