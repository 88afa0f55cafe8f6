"""The originals in which a trigger is fitted: some that show it, and some that do not, at their own size."""

import collections
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..data.access import RawView
from ..data.decoding import check_same
from ..data.eight_bit import EightBit, to_eight_bit
from ..data.pixels import Pixels, resize, with_channels
from ..data.store import ImageStore
from ..data.survey import Survey
from .frames import Size

SUSPECTS, OTHERS = 200, 400
"""So many are read at most."""
BYTES = 1 << 29
"""Of the pixels of either kind, at most: of large photographs fewer are read."""


def read_original(view: RawView, found: Survey, position: int) -> EightBit:
    """An item at its own size.

    Raises:
        DatasetError: it is not the one that was surveyed.
    """
    record = view.read(position)
    check_same(view, record, found.digests)
    return to_eight_bit(record.image, found.levels)


def read_originals(view: RawView, found: Survey, store: ImageStore, rows: npt.NDArray[np.int64]) -> Iterator[Pixels]:
    """Originals of rows of the store, uint8 [H,W,C] of one number of channels, until they are too many bytes."""
    held = 0
    for position in store.positions[rows].tolist():
        image = with_channels(read_original(view, found, position).colour, found.channels)
        held += image.nbytes
        if held > BYTES:
            return
        yield image


def larger_than_copy(found: Survey, store: ImageStore) -> npt.NDArray[np.bool_]:
    """Which rows of the store are smaller copies of their originals, bool [M]."""
    height, width = found.working_size
    sizes = found.sizes[store.positions]
    return (sizes[:, 0] > height) | (sizes[:, 1] > width)


class Originals(NamedTuple):
    """Images uint8 [H,W,C] of any sizes, and of one number of channels."""

    suspects: list[Pixels]
    """That show the trigger, but for false flags."""
    others: list[Pixels]
    """That do not, and show the same content."""

    @property
    def few(self) -> bool:
        """Whether they are too few to tell anything."""
        return min(len(self.suspects), len(self.others)) < rules.LEAST_FLAGGED

    @property
    def sizes(self) -> list[Size]:
        """Of all of them."""
        return [(image.shape[0], image.shape[1]) for image in (*self.suspects, *self.others)]

    @property
    def canvas(self) -> Size:
        """The size that most suspects have; the median where few have the same."""
        sizes: list[Size] = [(image.shape[0], image.shape[1]) for image in self.suspects]
        [(size, count)] = collections.Counter(sizes).most_common(1)
        if 2 * count < len(sizes):
            height, width = np.median(sizes, axis=0).round().astype(int).tolist()
            return height, width
        return size

    @classmethod
    def drawn(
        cls,
        view: RawView,
        found: Survey,
        store: ImageStore,
        members: npt.NDArray[np.int64],
        clean: npt.NDArray[np.int64],
        content: npt.NDArray[np.int64],
        seed: int,
    ) -> "Originals":
        """Draws and reads them.

        Args:
            members: int64 [n], rows of the store that were flagged.
            clean: int64 [m], rows that were not.
            content: int64, the labels that flagged ones were given when they were restored: the clean ones are drawn to
                have the same.
        """
        rng = np.random.default_rng(seed)
        counts = np.bincount(store.labels[clean], minlength=store.num_classes)
        wanted = np.bincount(content, minlength=store.num_classes) / np.maximum(counts, 1)
        weights = wanted[store.labels[clean]]
        count = min(OTHERS, int((weights > 0).sum()))
        drawn = rng.choice(clean, count, replace=False, p=weights / weights.sum()) if count else clean[:0]

        suspects = rng.permutation(members)[:SUSPECTS]
        return cls(*(list(read_originals(view, found, store, rows)) for rows in (suspects, drawn)))


def mean_of(images: list[Pixels], size: Size) -> Tensor:
    """Mean, float32 [C,H,W] in 0..1, of images that are stretched to a size."""
    total = sum(resize(image, *size).astype(np.float32) for image in images)
    return torch.from_numpy(np.asarray(total) / (255 * len(images))).permute(2, 0, 1)


def stretched(images: list[Pixels], size: Size) -> Pixels:
    """uint8 [N,H,W,C]; images that are stretched to a size."""
    return np.stack([resize(image, *size) for image in images])
