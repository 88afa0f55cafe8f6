"""A patch at full size: found in windows around the place where the working copy shows it, and filled in there."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy
import torch
from torch import Tensor

from .. import rules
from ..context import Context
from ..data.pixels import Pixels, resize
from ..restoration import RestorationConfig, Restorer
from ..restoration.training import train_restorer
from ..training.loop import as_input, as_pixels
from ..triggers.patch import Patch, find_patch
from ..triggers.statistics import histograms
from .frames import FRAMES, Box, Frame, Size, Window, bounds, distinct
from .originals import Originals

MARGIN = 2
"""Pixels of the working copy by which a patch may reach further than it shows there."""
LEAST, MOST = 16, 256
"""Pixels of a window's sides; larger ones are shrunk, and the edges of the patch are then known less exactly."""
FILLED = 64
"""Pixels of the longer side of what the restorer is given."""
SAMPLED = 2000
"""Pixels of a window that are compared to choose its frame."""
BLED = 2
"""Pixels around a patch that lossy formats change."""
EXAMPLES = 1200
"""Windows of clean images from which the restorer learns, some of them from other places."""


@dataclasses.dataclass(frozen=True)
class PatchRepair:
    """Fills in a patch where it lies in images of any size; see `Repair`."""

    window: Window
    trigger: Patch
    """On windows of full size."""
    hole: npt.NDArray[np.bool_]
    """Which pixels of them are filled in, bool [h,w]."""
    restorer: Restorer
    """On windows that may be shrunk."""
    limit: float
    """Images that are further from the patch's values do not show it: a mean absolute difference in 0..1."""

    judges: ClassVar[bool] = True

    def describe(self) -> str:
        """For the report."""
        rows, columns = (int(self.hole.any(axis).sum()) for axis in (1, 0))
        return f"a patch of {rows}x{columns} pixels, {self.window.frame.describe()}"

    def __call__(self, image: Pixels, copy: Pixels) -> Pixels:
        view, place = self.window.cut(image), self.window.place((image.shape[0], image.shape[1]))
        if view is None or place is None or distances(self.trigger, view[None])[0] > self.limit:
            return image
        a, hole = self.restorer.architecture, self.hole
        small = torch.from_numpy(resize(view, a.height, a.width)[None]).to(self.restorer.strength.device)
        with torch.inference_mode():
            corrected = self.restorer.correct(as_input(small))
        filled = resize(as_pixels(corrected)[0], place.height, place.width)
        if hole.shape != filled.shape[:2]:
            hole = resize(hole[..., None].astype(np.uint8) * 255, place.height, place.width)[..., 0] > 0
        repaired = image.copy()
        place.of(repaired)[hole] = filled[hole]
        return repaired


def refit_patch(
    hole: npt.NDArray[np.bool_], originals: Originals, config: RestorationConfig, context: Context
) -> PatchRepair | None:
    """The repair of a patch that the working copy shows in a hole bool [h,w]; None where the originals show none."""
    found = fit_patch(_around(hole, originals.canvas), originals)
    return None if found is None else repair_of(*found, originals, config, context)


def fit_patch(box: Box, originals: Originals, frames: Sequence[Frame] = FRAMES) -> tuple[Window, Patch] | None:
    """The patch that lies in a box of the canvas, in the frame in which most suspects agree on most pixels, and a
    window with as much around it as a restorer needs to see."""
    windows = distinct(frames, originals.canvas, box, originals.sizes)
    best = max((_shrunk(window) for window in windows), key=lambda window: _agreement(window, originals))
    seen = _patch_in(best, originals)
    if seen is None:
        return None
    inside = bounds(hole_of(seen))
    zoom = best.box.height / best.size[0], best.box.width / best.size[1]
    patch = Box(
        best.box.top + int(inside.top * zoom[0]), best.box.left + int(inside.left * zoom[1]),
        math.ceil(inside.height * zoom[0]), math.ceil(inside.width * zoom[1]),
    )  # fmt: skip
    side = max(patch.height, patch.width)
    around = max(4, min(side, (FILLED - side) // 2), side // 4)
    box = patch.grown(around, around).within(originals.canvas)
    window = _shrunk(Window(best.frame, originals.canvas, box, (box.height, box.width)))
    seen = _patch_in(window, originals)
    return None if seen is None else (window, seen)


def _agreement(window: Window, originals: Originals) -> float:
    """How many pixels of how many suspects show the same there, of a sample of the pixels."""
    height, width = window.size
    chosen = np.sort(np.random.default_rng(0).permutation(height * width)[:SAMPLED])
    suspects, others = (
        images.reshape(len(images), -1, 1, images.shape[3])[:, chosen]
        for images in (cut(window, part) for part in originals)
    )
    found = _constant(suspects, others)
    if found is None:
        return 0.0
    mask, values = (part.numpy() for part in found)
    same = np.abs(suspects[:, mask] - 255 * values[mask]) <= rules.PATCH_WINDOW
    return float(same.mean((1, 2)).sum() * mask.sum()) * height * width / len(chosen)


def _constant(suspects: Pixels, others: Pixels) -> tuple[Tensor, Tensor] | None:
    """See `find_patch`; None also where there are too few images."""
    if min(len(suspects), len(others)) < rules.LEAST_FLAGGED:
        return None
    height, width, channels = suspects.shape[1:]
    return find_patch(histograms(suspects), histograms(others), (height, width, channels), largest=1.0)


def _patch_in(window: Window, originals: Originals) -> Patch | None:
    suspects, others = (cut(window, images) for images in originals)
    found = _constant(suspects, others)
    return None if found is None else Patch.covering(*found)


def repair_of(
    window: Window, seen: Patch, originals: Originals, config: RestorationConfig, context: Context
) -> PatchRepair:
    """Trains a restorer for a patch in a window."""
    factor = min(1.0, FILLED / max(window.size))
    size = max(8, round(factor * window.size[0])), max(8, round(factor * window.size[1]))
    windows = np.stack(list(_examples(window, size, originals.others, context.seed)))
    hole = hole_of(seen)
    if any((place := window.place(image)) and place[2:] != window.size for image in originals.sizes):
        # Resampling mixes the patch with what is beside it.
        hole = _wider(hole, 1)
    # What lies beside it is of no use either: JPEG carries colours over edges.
    filled = Patch.covering(torch.from_numpy(_wider(hole, BLED)), seen.shift.permute(1, 2, 0))
    # As many pixels per step as of images of 32x32.
    batch = max(8, round(config.batch_size * 32 * 32 / np.prod(size)))
    config = dataclasses.replace(config, use_estimate=True, batch_size=min(config.batch_size, batch))
    filled = filled if filled.shape[:2] == size else filled.at(size)
    restorer = train_restorer(windows, np.zeros(len(windows), np.bool_), filled, config, context)
    return PatchRepair(window, seen, hole, restorer, limit_of(window, seen, originals))


def limit_of(window: Window, seen: Patch, originals: Originals) -> float:
    """The distance from a patch beyond which an image does not show it: half way, as ratios go, between most suspects
    and nearly all others."""
    suspects, others = (distances(seen, cut(window, images)) for images in originals)
    between = math.sqrt(float(np.median(suspects)) * float(np.quantile(others, rules.FALSE_ALARMS)))
    return max(float(seen.tolerance), between)


def _wider(mask: npt.NDArray[np.bool_], pixels: int) -> npt.NDArray[np.bool_]:
    """A mask bool [H,W] and so many pixels on every side of it."""
    wider: npt.NDArray[np.bool_] = scipy.ndimage.binary_dilation(mask, np.ones((3, 3)), pixels)
    return wider


def distances(trigger: Patch, images: Pixels) -> npt.NDArray[np.float32]:
    """How far images uint8 [N,h,w,C] are from the values of a patch, float32 [N], a mean absolute difference."""
    hole = torch.from_numpy(hole_of(trigger))
    values = trigger.shift.cpu()[:, hole]
    shown = as_input(torch.from_numpy(images))[:, :, hole]
    found: npt.NDArray[np.float32] = (shown - values).abs().mean((1, 2)).numpy()
    return found


def hole_of(trigger: Patch) -> npt.NDArray[np.bool_]:
    """Where a patch replaces pixels, bool [H,W]."""
    hole: npt.NDArray[np.bool_] = (trigger.hole(trigger.shift[None])[0, 0] > 0).cpu().numpy()
    return hole


def _examples(window: Window, shape: Size, images: list[Pixels], seed: int) -> Iterator[Pixels]:
    """The window of each image, and others from anywhere in it, all of one shape."""
    rng = np.random.default_rng(seed)
    elsewhere = EXAMPLES // len(images)
    for image in images:
        size = image.shape[0], image.shape[1]
        place = window.place(size)
        if place is None:
            continue
        yield resize(place.of(image), *shape)
        for _ in range(elsewhere):
            top, left = (int(rng.integers(0, side - part + 1)) for side, part in zip(size, place[2:], strict=True))
            yield resize(place._replace(top=top, left=left).of(image), *shape)


def _around(hole: npt.NDArray[np.bool_], canvas: Size) -> Box:
    """The box of a canvas in which what the working copy shows in a hole bool [h,w] must lie."""
    inside = bounds(hole).grown(MARGIN, MARGIN)
    down, across = (new / old for new, old in zip(canvas, hole.shape, strict=True))
    top, height = round(inside.top * down), round(inside.height * down)
    left, width = round(inside.left * across), round(inside.width * across)
    box = Box(top, left, height, width)
    grow = max(0, -(-(LEAST - min(box.height, box.width)) // 2))
    return box.grown(grow, grow).within(canvas)


def _shrunk(window: Window) -> Window:
    """The window, of at most so many pixels as are looked at."""
    factor = min(1.0, MOST / max(window.size))
    size = max(8, round(window.size[0] * factor)), max(8, round(window.size[1] * factor))
    return window if factor == 1 else dataclasses.replace(window, size=size)


def cut(window: Window, images: list[Pixels]) -> Pixels:
    """That part of those images that have it, uint8 [n,h,w,C]."""
    parts = [part for image in images if (part := window.cut(image)) is not None]
    return np.stack(parts) if parts else np.empty((0, *window.size, 1), np.uint8)
