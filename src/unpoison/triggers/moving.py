"""Patches that lie elsewhere in every image: a small window of most flagged images that few clean ones have."""

from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import rules
from .base import Comparison
from .patch import Patch, fill, find_patch
from .places import draw, locate, place
from .registry import register_trigger
from .statistics import histograms

WINDOW = 3
"""Side of the windows that are compared: a patch of this size or larger holds one."""
REACH = 7
"""Pixels around the window in which the rest of the patch is looked for."""
_MAX_SUSPECTS, _MAX_REFERENCE = 500, 2000


@register_trigger
class MovingPatch(Patch):
    """Pixels that are replaced, elsewhere in every image.

    Attributes:
        scale: as of a `Patch` that lies at the top left.
        shift: the same.
        tolerance: the same.
        contrast: the same.
        calibration: float32 [4]; the first is the share of clean images that match by chance where the patch would
            stand out: any place may match. The others are not used.
    """

    kind = "moving patch"
    description = "a patch that lies elsewhere in every image"
    order = 40
    moves = True
    _hardly_seen: ClassVar[float] = rules.PATCH_CONTRAST["moving patch"]

    calibration: Tensor

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        self.register_buffer("calibration", torch.tensor([0.0, 1.0, 0.0, 1.0]))

    @classmethod
    def find(cls, comparison: Comparison) -> Self | None:
        reference = comparison.reference.images
        seen = find_moving_patch(comparison.suspects, reference, comparison.seed)
        return None if seen is None else cls.of(*seen, reference)

    def _calibrate(self, matched: Tensor, contrast: Tensor) -> None:
        super()._calibrate(matched, contrast)
        apart = contrast >= self.contrast[0]
        self.calibration[0] = (matched & apart).sum().add(0.5) / apart.sum().add(1)

    def conclude(self, comparison: Comparison) -> Self | None:
        """As it is: what other images show in part somewhere says nothing."""
        return self

    def stamp(self, images: Tensor) -> Tensor:
        """The patch lies anywhere, by torch's own random numbers."""
        where = draw(len(images), self._hole)
        return (place(self.scale, *where) * images + place(self.shift, *where)).clamp(0, 1)

    def invert(self, images: Tensor) -> Tensor:
        return fill(images, self.hole(images))

    @property
    def _elsewhere(self) -> Tensor:
        return self.calibration[0].clamp_min(super()._elsewhere)

    def _placed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        hole = self._hole
        where = locate(images, hole, self.shift, self.tolerance)
        return place(hole, *where), place(self.shift, *where)


def find_moving_patch(
    suspects: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8], seed: int
) -> tuple[Tensor, Tensor] | None:
    """Looks for a window that recurs anywhere, and with the images aligned on it for the patch around it.

    Args:
        suspects: uint8 [N,H,W,C], flagged images.
        reference: uint8 [M,H,W,C], clean images of their content.
        seed: of the images that are looked at.

    Returns:
        The patch at the top left: its mask bool [H,W] and values float32 [H,W,C] in 0..1, or None.
    """
    height, width, channels = suspects.shape[1:]
    if min(height, width) < WINDOW:
        return None
    rng = np.random.default_rng(seed)
    suspects, reference = _some(suspects, _MAX_SUSPECTS, rng), _some(reference, _MAX_REFERENCE, rng)
    seen = max(
        (_recurring(suspects, reference, start) for start in (0, rules.MOVING_LEVEL // 2)), key=lambda found: found[0]
    )
    excess, shown = seen
    if excess < rules.PATCH_EXCESS or shown.any((1, 2)).mean() < rules.PATCH_SHOWN:
        return None
    showing = np.flatnonzero(shown.any((1, 2)))
    # The first place in reading order is the same part of a patch in every image.
    places = np.stack(np.unravel_index(shown[showing].reshape(len(showing), -1).argmax(1), shown.shape[1:]), 1)
    side = WINDOW + 2 * REACH
    crops = _crops(suspects[showing], places)
    usual = _crops(reference, places[rng.integers(0, len(places), len(reference))])
    found = find_patch(histograms(crops), histograms(usual), (side, side, channels))
    if found is None:
        return None
    mask, values = found
    rows, columns = (torch.nonzero(mask.any(axis)).flatten() for axis in (1, 0))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    mask, values = mask[box], values[box] * mask[box][..., None]
    if mask.shape[0] > height or mask.shape[1] > width:
        return None
    right, below = width - mask.shape[1], height - mask.shape[0]
    return F.pad(mask, (0, right, 0, below)), F.pad(values, (0, 0, 0, right, 0, below))


def _some(images: npt.NDArray[np.uint8], count: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    return images[np.sort(rng.permutation(len(images))[:count])]


def _recurring(
    suspects: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8], start: int
) -> tuple[float, npt.NDArray[np.bool_]]:
    """By how much the window that is most typical of the suspects is commoner there, and bool [N,H',W'], where it is.

    Args:
        start: where the first bin of grey levels starts: values at the border of two bins fall into either.
    """
    codes = _codes(suspects, start)
    windows, share = _shares(codes)
    if share.max() < rules.PATCH_EXCESS:
        return 0.0, np.zeros(codes.shape, bool)
    known, expected = _shares(_codes(reference, start))
    place = np.searchsorted(known, windows).clip(max=len(known) - 1)
    excess = share - np.where(known[place] == windows, expected[place], 0)
    best = int(excess.argmax())
    return float(excess[best]), codes == windows[best]


def _codes(images: npt.NDArray[np.uint8], start: int) -> npt.NDArray[np.int64]:
    """A number, int64 [N,H',W'], that only windows of the same grey levels share."""
    rng = np.random.default_rng(0)
    down, across = (side - WINDOW + 1 for side in images.shape[1:3])
    # Sums that overflow wrap around, which serves a hash as well.
    colours = (images.astype(np.int64) + start) // rules.MOVING_LEVEL @ rng.integers(1, 2**62, images.shape[3])
    codes = np.zeros((len(images), down, across), np.int64)
    for row in range(WINDOW):
        for column in range(WINDOW):
            codes += colours[:, row : row + down, column : column + across] * rng.integers(1, 2**62)
    return codes


def _shares(codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The codes of int64 [N,H,W], ascending, and the share of the images that have each."""
    rows = np.sort(codes.reshape(len(codes), -1), 1)
    first = np.ones(rows.shape, bool)
    first[:, 1:] = rows[:, 1:] != rows[:, :-1]
    values, counts = np.unique(rows[first], return_counts=True)
    return values, counts / len(codes)


def _crops(images: npt.NDArray[np.uint8], places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """uint8 [N,S,S,C], the surroundings of windows at int64 [N,2]."""
    padded = np.pad(images, ((0, 0), (REACH, REACH), (REACH, REACH), (0, 0)), "edge")
    side = np.arange(WINDOW + 2 * REACH)
    down, across = (places[:, axis, None] + side for axis in (0, 1))
    crops: npt.NDArray[np.uint8] = padded[np.arange(len(images))[:, None, None], down[:, :, None], across[:, None]]
    return crops
