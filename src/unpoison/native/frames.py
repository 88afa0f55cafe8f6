"""How places in images of different sizes correspond: from a corner, an edge or the centre, or by shares."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ..data.pixels import Pixels, resize

T = TypeVar("T", bound=np.generic)
Size = tuple[int, int]
"""(H, W)."""


class Frame(NamedTuple):
    """What a place keeps when the size of the image changes."""

    anchor: tuple[float, float] | None
    """Where distances are measured from, as shares of height and width; None where places are shares of the size."""
    by_side: bool = False
    """Whether distances grow with the shorter side of the image, rather than being so many pixels."""

    def describe(self) -> str:
        """For the report."""
        if self.anchor is None:
            return "at the same share of the size"
        rows, columns = ("top", "middle", "bottom"), ("left", "centre", "right")
        place = f"{rows[round(2 * self.anchor[0])]} {columns[round(2 * self.anchor[1])]}"
        return f"from the {place}, in shares of the shorter side" if self.by_side else f"from the {place}, in pixels"


STRETCHED = Frame(None)
FRAMES = [
    *(Frame((row, column), by_side) for by_side in (False, True) for row in (0, 1, 0.5) for column in (0, 1, 0.5)),
    STRETCHED,
]
"""Those that are tried; of two that come to the same, the first."""


class Box(NamedTuple):
    """A rectangle, in pixels; it may begin outside of the image."""

    top: int
    left: int
    height: int
    width: int

    def lies_in(self, size: Size) -> bool:
        """Whether no part of it is outside of an image of this size."""
        bottom, right = self.top + self.height, self.left + self.width
        return self.top >= 0 and self.left >= 0 and bottom <= size[0] and right <= size[1]

    def of(self, image: npt.NDArray[T]) -> npt.NDArray[T]:
        """The part of an image or mask [H,W,...], a view."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def within(self, size: Size) -> "Box":
        """Of the same size, moved into an image of this size as far as needed, and cut where it is larger."""
        height, width = min(self.height, size[0]), min(self.width, size[1])
        top, left = min(max(self.top, 0), size[0] - height), min(max(self.left, 0), size[1] - width)
        return Box(top, left, height, width)

    def grown(self, rows: int, columns: int) -> "Box":
        """With so many further pixels on every side."""
        return Box(self.top - rows, self.left - columns, self.height + 2 * rows, self.width + 2 * columns)


@dataclasses.dataclass(frozen=True)
class Window:
    """The same place in images of all sizes, as pixels of one size."""

    frame: Frame
    canvas: Size
    """Of the images in which `box` is said."""
    box: Box
    size: Size
    """Of what is cut out; the box's own unless that is too large."""

    def place(self, size: Size) -> Box | None:
        """Where it lies in an image of this size; None where part of it would lie outside."""
        if self.frame.anchor is None:
            down, across = (new / old for new, old in zip(size, self.canvas, strict=True))
            from_top, from_left = 0.0, 0.0
        else:
            down = across = min(size) / min(self.canvas) if self.frame.by_side else 1.0
            from_top, from_left = self.frame.anchor
        top = from_top * size[0] + (self.box.top - from_top * self.canvas[0]) * down
        left = from_left * size[1] + (self.box.left - from_left * self.canvas[1]) * across
        height, width = max(1, round(self.box.height * down)), max(1, round(self.box.width * across))
        found = Box(round(top), round(left), height, width)
        return found if found.lies_in(size) else None

    def cut(self, image: Pixels) -> Pixels | None:
        """That part of an image [H,W,C], uint8 of `size`; None where it lies outside."""
        found = self.place((image.shape[0], image.shape[1]))
        return None if found is None else resize(found.of(image), *self.size)


def distinct(frames: Sequence[Frame], canvas: Size, box: Box, sizes: Sequence[Size]) -> list[Window]:
    """The windows that a box of a canvas is by these frames, without those that come to the same in all sizes."""
    found: dict[tuple[Box | None, ...], Window] = {}
    for frame in frames:
        window = Window(frame, canvas, box, (box.height, box.width))
        found.setdefault(tuple(window.place(size) for size in sizes), window)
    return list(found.values())


def bounds(mask: npt.NDArray[np.bool_]) -> Box:
    """The smallest box around what is true, bool [H,W]."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1))
