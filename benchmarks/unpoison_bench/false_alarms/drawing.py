"""Draws the images of a set from a file, and those that test what a network learned from it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from unpoison.errors import DatasetError

from .cases import Case, Draw
from .files import WITH_TEST, Labels, Split, read_labels, read_names, read_pictures, read_truth, source_size

TEST_PER_CLASS = 60
"""Test images of each class in the file, at most."""
SHIFT, LIGHT = 1, 8
"""Of near-duplicates: pixels in any direction, and grey levels up or down, at most."""


class Drawn(NamedTuple):
    """N images."""

    pictures: list[Image.Image]
    """Modes "RGB" and "L"."""
    labels: Labels
    """int64 [N], as they are given."""
    wrong: npt.NDArray[np.bool_]
    """bool [N]: whether people gave another label than the right one."""


def draw_rows(draw: Draw) -> Labels:
    """int64 [N], ascending: the rows that a draw takes, of the file of training images.

    Raises:
        DatasetError: a file is missing, or holds too few images of a class.
    """
    first, end = draw.rows
    if not draw.classes:
        assert isinstance(draw.counts, int)
        return np.arange(first, min(first + draw.counts, end))
    labels = read_labels(draw, "train")[first:end]
    names = np.array(read_names(draw.source, "train")[first:end]) if draw.tracks else None
    counts = [draw.counts] * len(draw.classes) if isinstance(draw.counts, int) else draw.counts
    rng = None if draw.seed is None else np.random.default_rng(draw.seed)
    parts = []
    for label, count in zip(draw.classes, counts, strict=True):
        rows = np.flatnonzero(labels == label)
        if names is not None:
            rows = rows[np.argsort(names[rows])]
        if rng is not None:
            rows = rng.permutation(rows)
        if len(rows) < count:
            raise DatasetError(
                f"{draw.source} has {len(rows)} images of class {label} in rows {first} to {end}, {count} are needed: "
                "set UNPOISON_DATA to the whole files"
            )
        parts.append(rows[:count])
    return first + np.sort(np.concatenate(parts))


def draw(case: Case) -> Drawn:
    """The images of a set, before any attack.

    Raises:
        DatasetError: as `draw_rows`.
    """
    how, rows = case.draw, draw_rows(case.draw)
    file_labels = read_labels(how, "train")[rows]
    labels, wrong = _numbered(how, file_labels), file_labels != read_truth(how)[rows]
    pictures = _resized(how, read_pictures(how.source, "train", rows))
    rng = np.random.default_rng([0 if how.seed is None else how.seed, len(rows)])
    if how.series > 1:
        pictures = [_near(picture, rng) for picture in pictures for _ in range(how.series)]
        labels, wrong = np.repeat(labels, how.series), np.repeat(wrong, how.series)
    grey = np.isin(labels, how.grey_classes)
    grey[rng.permutation(len(labels))[: round(how.grey * len(labels))]] = True
    for place in np.flatnonzero(grey):
        # Photographs of several sizes come as files do: grey ones have one channel.
        pictures[place] = pictures[place].convert("L").convert("RGB" if how.longest is None else "L")
    if how.flat is not None:
        label, count, level = how.flat
        for place in np.flatnonzero(labels == label)[:count]:
            pictures[place] = Image.new("RGB", pictures[place].size, (level, level, level))
    return Drawn(pictures, labels, wrong)


def draw_test(case: Case) -> Drawn:
    """Test images of the same classes: from the half of the test file that belongs to the set's half; where there is no
    such file, those of the set's rows that it leaves out.

    Raises:
        DatasetError: a file is missing.
    """
    how = case.draw
    split: Split = "test" if how.source in WITH_TEST else "train"
    if split == "test":
        middle, end = source_size(how.source, split) // 2, source_size(how.source, split)
        free = np.arange(middle) if case.half == "develop" else np.arange(middle, end)
    else:
        free = np.setdiff1d(np.arange(*how.rows), draw_rows(how))
    labels = read_labels(how, split)
    classes = how.classes or tuple(np.unique(labels).tolist())
    rows = np.sort(np.concatenate([free[labels[free] == label][:TEST_PER_CLASS] for label in classes]))
    pictures = _resized(how, read_pictures(how.source, split, rows))
    return Drawn(pictures, _numbered(how, labels[rows]), np.zeros(len(rows), bool))


def _numbered(how: Draw, labels: Labels) -> Labels:
    """Class numbers of the set from those of the file."""
    groups = how.merged or tuple((label,) for label in how.classes)
    if not groups:
        return labels
    numbers = {label: number for number, group in enumerate(groups) for label in group}
    return np.array([numbers[label] for label in labels.tolist()], np.int64)


def _resized(how: Draw, pictures: list[Image.Image]) -> list[Image.Image]:
    if how.side is not None:
        return [picture.resize((how.side, how.side), Image.Resampling.LANCZOS) for picture in pictures]
    if how.longest is not None:
        for picture in pictures:
            picture.thumbnail((how.longest, how.longest), Image.Resampling.LANCZOS)
    return pictures


def _near(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same image, shifted by up to a pixel with its border repeated, and a little brighter or darker."""
    pixels = np.asarray(picture).astype(np.int16)
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, [(SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)][: pixels.ndim], mode="edge")
    down, right = rng.integers(0, 2 * SHIFT, 2, endpoint=True)
    shifted = padded[down : down + height, right : right + width] + rng.integers(-LIGHT, LIGHT, endpoint=True)
    return Image.fromarray(shifted.clip(0, 255).astype(np.uint8))
