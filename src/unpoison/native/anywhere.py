"""A patch anywhere in originals of which only some show it: pixels on which many of them agree, and few others."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy
import torch

from .. import rules
from ..data.pixels import Pixels
from ..training.loop import as_input
from ..triggers.patch import Patch
from .frames import FRAMES, STRETCHED, Box, Frame, Size, Window, bounds, distinct
from .originals import Originals
from .patches import cut, distances, fit_patch, limit_of

SIDE = 1024
"""Pixels of the longer side at most in which is looked."""
PLACES = 6
"""Places that are looked at closely, those first where most pixels agree."""
_FRAMES = [Frame((row, column)) for row, column in ((0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5))] + [STRETCHED]


class Place(NamedTuple):
    """Where some of the suspects agree."""

    window: Window
    """Of the whole search."""
    mask: npt.NDArray[np.bool_]
    """bool [H,W], the pixels in it."""
    values: npt.NDArray[np.uint8]
    """uint8 [H,W], of the channel that was looked at."""
    agreeing: float
    """Pixels, times the share by which suspects agree on them more than others."""


class SeenPatch(NamedTuple):
    """A patch, and how it is told."""

    window: Window
    trigger: Patch
    limit: float

    def framed(self, sizes: Sequence[Size]) -> "list[SeenPatch]":
        """The same in all frames that differ in images of these sizes, this one first: images that agree on a patch may
        be of one width, and so leave open from which side it is measured."""
        frames = [self.window.frame, *(frame for frame in FRAMES if frame != self.window.frame)]
        windows = distinct(frames, self.window.canvas, self.window.box, sizes)
        return [self._replace(window=dataclasses.replace(window, size=self.window.size)) for window in windows]

    def shown_by(self, image: Pixels) -> float | None:
        """How much nearer than the limit an image is to it, as a share of the limit, 0..1; None where it does not show
        it, or where it would hardly stand out of what is around it."""
        part = self.window.cut(image)
        if part is None:
            return None
        part = np.array(part)
        near = 1 - float(distances(self.trigger, part[None])[0]) / self.limit
        return near if near >= 0 and self._stands_out(part) else None

    def _stands_out(self, part: Pixels) -> bool:
        _, contrast = self.trigger.compare(as_input(torch.from_numpy(part[None])))
        return bool(contrast[0] >= rules.PATCH_CONTRAST["patch"])


def patches_in(originals: Originals) -> Iterator[SeenPatch]:
    """The patches that some of the suspects share, the one on which most pixels agree first."""
    for place in _places(originals):
        carriers = [image for image in originals.suspects if _agrees(place, image)]
        if len(carriers) < rules.LEAST_FLAGGED:
            continue
        known = Originals(carriers, originals.others)
        box = _box(place).place(known.canvas)
        found = None if box is None else fit_patch(box, known, [place.window.frame])
        if found is not None:
            yield SeenPatch(*found, limit_of(*found, known))


def _places(originals: Originals) -> list[Place]:
    """Where pixels that hang together are the same in many suspects and in few others."""
    sizes = np.array(originals.sizes)
    # Of odd, small images the rest would be cut to their size.
    height, width = np.quantile(sizes, 0.1, axis=0).astype(int).tolist()
    factor = min(1.0, SIDE / max(height, width))
    size = round(height * factor), round(width * factor)
    found: list[Place] = []
    for frame in _FRAMES:
        window = Window(frame, (height, width), Box(0, 0, height, width), size)
        suspects, others = (_middle(cut(window, images)) for images in originals)
        if min(len(suspects), len(others)) < rules.LEAST_FLAGGED:
            continue
        values, excess = _agreement(suspects, others)
        parts, count = scipy.ndimage.label(excess >= rules.PATCH_EXCESS, np.ones((3, 3)))
        masses = scipy.ndimage.sum_labels(excess, parts, np.arange(1, count + 1))
        for part in np.argsort(-masses, kind="stable")[:PLACES].tolist():
            found.append(Place(window, parts == part + 1, values, float(masses[part])))
    return sorted(found, key=lambda place: -place.agreeing)[:PLACES]


def _agreement(
    suspects: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """The value on which most suspects [n,H,W] agree at each pixel, uint8 [H,W], and by how much more of them than of
    the others [m,H,W], float64 [H,W]."""
    ordered = np.sort(suspects, axis=0).astype(np.int16)
    values, best = np.zeros(suspects.shape[1:], np.uint8), np.zeros(suspects.shape[1:])
    wide = 2 * rules.PATCH_WINDOW
    # From many images to few: the largest group of values that lie within the window.
    for group in range(len(suspects), rules.LEAST_FLAGGED - 1, -max(1, len(suspects) // 16)):
        spans = ordered[group - 1 :] - ordered[: len(ordered) - group + 1]
        start = spans.argmin(0)
        fits = (np.take_along_axis(spans, start[None], 0)[0] <= wide) & (best == 0)
        middle = np.take_along_axis(ordered, (start + group // 2)[None], 0)[0]
        values[fits], best[fits] = middle[fits], group / len(suspects)
    usual = (np.abs(others.astype(np.int16) - values) <= rules.PATCH_WINDOW).mean(0)
    return values, best - usual


def _agrees(place: Place, image: Pixels) -> bool:
    part = place.window.cut(image)
    if part is None:
        return False
    near = np.abs(_middle(part).astype(np.int16)[place.mask] - place.values[place.mask]) <= 2 * rules.PATCH_WINDOW
    return bool(near.mean() >= rules.PATCH_MATCHED)


def _middle(pixels: Pixels) -> Pixels:
    """The green or grey of pixels [...,C]."""
    return pixels[..., pixels.shape[-1] // 2]


def _box(place: Place) -> Window:
    """What is around the pixels of a place."""
    down, across = (big / small for big, small in zip(place.window.canvas, place.window.size, strict=True))
    box = bounds(place.mask).grown(2, 2)
    top, left, height, width = (
        round(value * factor) for value, factor in zip(box, (down, across, down, across), strict=True)
    )
    box = Box(top, left, height, width).within(place.window.canvas)
    return Window(place.window.frame, place.window.canvas, box, (box.height, box.width))
