"""What a report shows: the most suspicious images before and after, parts of them at their own size, and where the
images of each class changed.

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
MAX_IMAGES, MAX_CLASSES, MAX_CROPS = 500, 24, 96
CROP = 96
"""Pixels of the sides of what is shown of an original, as far as it has so many."""
_MAX_FILE, _MAX_SIDE = 1 << 25, 256
_SCHEMA = {
    "index": ("i", 1), "before": ("u", 4), "after": ("u", 4), "files": ("U", 1), "kinds": ("U", 1), "images": ("i", 1),
    "classes": ("i", 1), "changes": ("f", 3),
}  # fmt: skip
_CROPS = {"cropped": ("i", 1), "places": ("i", 2), "crops": ("u", 5)}
"""Which reports of older versions lack."""


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


class Crop(NamedTuple):
    """The part of an original that its repair changed most, at its own size."""

    top: int
    """Row of its first pixel in the original."""
    left: int
    """Column of the same."""
    size: tuple[int, int]
    """(H, W) of the original."""
    before: npt.NDArray[np.uint8]
    """uint8 [min(H, CROP), min(W, CROP), C]."""
    after: npt.NDArray[np.uint8]
    """The same part, repaired."""


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
    crops: dict[int, Crop] = dataclasses.field(default_factory=dict)
    """By row of `index`: of the first restored images whose originals are larger than the working copy."""

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
            **self._packed_crops(),
        }
        np.savez(folder / FILE, allow_pickle=False, **arrays)

    def _packed_crops(self) -> dict[str, npt.NDArray[Any]]:
        """The crops as arrays of one size, with zeros where an original is smaller."""
        crops = np.zeros((len(self.crops), 2, CROP, CROP, self.before.shape[3]), np.uint8)
        for pair, crop in zip(crops, self.crops.values(), strict=True):
            height, width = crop.before.shape[:2]
            pair[:, :height, :width] = crop.before, crop.after
        places = [(crop.top, crop.left, *crop.size) for crop in self.crops.values()]
        return {
            "cropped": np.array(list(self.crops), np.int64),
            "places": np.array(places, np.int64).reshape(-1, 4),
            "crops": crops,
        }

    @classmethod
    def load(cls, files: Checked, samples: int) -> Self | None:
        """Reads what `save` wrote beside a report on so many samples; None where there is no such file.

        Raises:
            DamagedError: it is damaged, or not what `save` writes.
        """
        if not files.has(FILE):
            return None
        found = files.arrays(FILE, _SCHEMA, _CROPS, limit=_MAX_FILE)
        with parsing(files.folder / FILE):
            _check(found, samples)
            crops = _unpacked_crops(found)
        pairs = found["classes"].reshape(-1, 2)[1:].tolist()
        footprints = [
            Footprint([label for place, label in pairs if place == number], str(kind), int(count), change)
            for number, (kind, count, change) in enumerate(
                zip(found["kinds"], found["images"], found["changes"], strict=True)
            )
        ]
        return cls(found["index"], found["before"], found["after"], found["files"].tolist(), footprints, crops)


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


def _unpacked_crops(found: dict[str, npt.NDArray[Any]]) -> dict[int, Crop]:
    """What `_packed_crops` gave; none where the file is of an older version.

    Raises:
        ValueError: they are not crops of these pictures.
    """
    if not found.keys() & _CROPS.keys():
        return {}
    rows, places, crops = found["cropped"], found["places"].astype(np.int64), found["crops"]
    count, channels = len(rows), found["before"].shape[3]
    if crops.dtype != np.uint8 or crops.shape != (count, 2, CROP, CROP, channels) or places.shape != (count, 4):
        raise ValueError("the crops are not of the size that a report shows")
    if count > MAX_CROPS or len(np.unique(rows)) != count or not np.isin(rows, np.arange(len(found["index"]))).all():
        raise ValueError("the crops are not of the pictures")
    sizes = places[:, 2:]
    shapes = np.minimum(sizes, CROP)
    if (sizes < 1).any() or (places[:, :2] < 0).any() or (places[:, :2] > sizes - shapes).any():
        raise ValueError("the crops lie outside of their images")
    return {
        row: Crop(top, left, (height, width), *pair[:, : min(height, CROP), : min(width, CROP)])
        for row, (top, left, height, width), pair in zip(rows.tolist(), places.tolist(), crops, strict=True)
    }
