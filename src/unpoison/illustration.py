"""Chooses the pictures of a report: its most suspicious images, and where those of each class changed."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .pictures import MAX_CLASSES, MAX_IMAGES, Footprint, Pictures
from .results import Results

MAX_BYTES = 1 << 23
"""Of the images before and after; a page that shows them all stays below 10 MB."""
MAX_NAME = 120
"""Characters of a file's name, the last ones."""


def illustrate(
    report: Results,
    images: npt.NDArray[np.uint8],
    restored_index: npt.NDArray[np.int64],
    restored_images: npt.NDArray[np.uint8],
    explained: Sequence[Footprint] = (),
    file_name: Callable[[int], str] = lambda _: "",
) -> Pictures:
    """Chooses what a report shows.

    Args:
        report: on the N samples.
        images: uint8 [N,H,W,C], the working copy.
        restored_index: int64 [M], ascending.
        restored_images: uint8 [M,H,W,C].
        explained: what the method's explanation says, in the report's class numbers.
        file_name: of the image at a position.
    """
    order = np.argsort(-report.score, kind="stable")
    each = 2 * math.prod(images.shape[1:])
    index = order[report.flagged[order]][: max(1, min(MAX_IMAGES, MAX_BYTES // each))]
    after = np.zeros((len(index), *images.shape[1:]), np.uint8)
    restored = np.isin(index, restored_index)
    after[restored] = restored_images[np.searchsorted(restored_index, index[restored])]
    files = [file_name(position)[-MAX_NAME:] for position in index.tolist()]
    footprints = _footprints(report, images, restored_index, restored_images, explained)
    return Pictures(index.astype(np.int64), np.asarray(images[index]), after, files, footprints)


def _footprints(
    report: Results,
    images: npt.NDArray[np.uint8],
    restored_index: npt.NDArray[np.int64],
    restored_images: npt.NDArray[np.uint8],
    explained: Sequence[Footprint],
) -> list[Footprint]:
    """One per class whose images were restored; for the others what the explanation says."""
    labels = report.original_label[restored_index]
    classes, counts = np.unique(labels, return_counts=True)
    found = []
    for label in classes[np.argsort(-counts, kind="stable")][:MAX_CLASSES].tolist():
        change = np.zeros(images.shape[1:3])
        members = np.flatnonzero(labels == label)
        for member in members:
            difference = restored_images[member].astype(np.int16) - images[restored_index[member]]
            change += np.abs(difference).mean(2)
        kind = next((footprint.kind for footprint in explained if label in footprint.classes), "")
        found.append(Footprint([label], kind, len(members), (change / len(members)).astype(np.float32)))
    for footprint in explained:
        rest = [label for label in footprint.classes if label not in classes]
        if rest:
            found.append(footprint._replace(classes=rest))
    return found[:MAX_CLASSES]
