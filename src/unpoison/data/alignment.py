"""Positions of the wrapped dataset among the samples that are served, once some were dropped."""

import numpy as np
import numpy.typing as npt

from ..errors import CacheError, ConfigError, DatasetError
from ..report import Report
from ..samples import class_text

Positions = npt.NDArray[np.int64]


def served_positions(source_index: Positions, count: int) -> Positions:
    """int64 [N]; where each sample of the wrapped dataset is served, -1 for those that were dropped.

    Args:
        source_index: int64 [M]; position in the wrapped dataset of each sample served.
        count: N, samples of the wrapped dataset.

    Raises:
        CacheError: the samples are of a larger dataset.
    """
    if len(source_index) and source_index.max() >= count:
        raise CacheError(f"the report is of {count} samples, the shards of more: take both from the same export")
    positions = np.full(count, -1, np.int64)
    positions[source_index] = np.arange(len(source_index))
    return positions


def with_stand_ins(positions: Positions, report: Report, seed: int) -> Positions:
    """int64 [N]; like `served_positions`, where each dropped sample has the position of one that stands in for it.

    That is one of the same class, as the dropped sample came: one that was kept as it is, else a restored one; of any
    class where the dropped one could not be read, and its label neither. Which one follows from the position and the
    seed, and they take turns.

    Raises:
        DatasetError: no sample of the class is left.
    """
    filled = positions.copy()
    dropped = positions < 0
    for label in np.unique(report.original_label[dropped]):
        gaps = np.flatnonzero(dropped & (report.original_label == label))
        left = ~dropped & ((report.label == label) | (label < 0))
        kept = left & (report.action == "keep")
        found = np.flatnonzero(kept if kept.any() else left)
        if not len(found):
            name = class_text(int(label), report.class_names)
            raise DatasetError(
                f"align=True: no sample of class {name} is left to stand in for the {len(gaps)} that were dropped: "
                "leave align out, or keep them by on_poison="
            )
        turns = np.random.default_rng([seed, int(label) + 1]).permutation(found)
        filled[gaps] = positions[np.resize(turns, len(gaps))]
    return filled


def checked_indices(indices: npt.ArrayLike, count: int) -> Positions:
    """int64; positions of the wrapped dataset, which has `count` samples.

    Raises:
        ConfigError: they are no positions, or outside.
    """
    given = np.asarray(indices)
    if given.size == 0:
        return np.zeros(given.shape, np.int64)
    if given.dtype.kind not in "iu":
        raise ConfigError(f"source_indices are {given.dtype}: give positions in the wrapped dataset, as integers")
    outside = given[(given < 0) | (given >= count)]
    if outside.size:
        raise ConfigError(f"source_indices hold {outside.flat[0]}, outside the {count} samples of the wrapped dataset")
    return given.astype(np.int64)
