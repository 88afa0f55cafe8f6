"""Which value is white in images that are not uint8: decided once, for a whole dataset.

One broken pixel must not turn all other images black, and neither must a range that nobody thought of. What nearly all
images fit decides; an image that does not fit, and values without a known range, are errors.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError
from .eight_bit import Levels
from .facts import Facts
from .images import ONE_RANGE

_WHITES = {"f": (1.0, 255.0), "i": (1.0, 255.0, 4095.0, 65535.0)}
"""The known values of white of floats and of integers."""
_SLACK = {"f": 1.002, "i": 1.0}
"""Floats may exceed white a little: half precision rounds."""
_NEARLY_ALL = 0.9
_DARK = 1 / 8
"""The brightest pixel of a dataset is no darker than this part of white."""
_BLACK = 1 / 128
"""No more than this part of white looks black."""
_NAMES = {"f": "float", "i": "integer"}


def white_levels(facts: Facts, positions: npt.NDArray[np.int64]) -> Levels:
    """The value of white in a dataset.

    Args:
        facts: on the M items that can be read.
        positions: int64 [M]; where they are in the dataset.

    Raises:
        DatasetError: an item has another range than nearly all others, or their range is not known.
    """
    found = {kind: _white(kind, facts, positions, rows) for kind, rows in facts.words("kind").used().items() if kind}
    defaults = Levels()
    return Levels(found.get("f", defaults.floating), found.get("i", defaults.integer))


def _white(kind: str, facts: Facts, positions: npt.NDArray[np.int64], of_kind: npt.NDArray[np.bool_]) -> float:
    peaks, fractional = facts.array("peak")[of_kind], facts.array("fractional")[of_kind]
    whites, slack = _WHITES[kind], _SLACK[kind]
    white = next((white for white in whites if np.mean(peaks <= white * slack) >= _NEARLY_ALL), whites[-1])
    for wrong, others in (
        (peaks > white * slack, f"those of nearly all others lie in 0..{white:g}"),
        (_of_smaller_range(peaks, fractional, whites, white), f"those of others go up to {peaks.max():g}"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(of_kind)[np.argmax(wrong)])
            file = facts.texts("file").all()[row]
            raise DatasetError(
                f"item {positions[row]}{f' ({file})' if file else ''}: its {_NAMES[kind]} pixels go up to "
                f"{facts.array('peak')[row]:g}, while {others}: repair or remove the item, or {ONE_RANGE}"
            )
    if 0 < peaks.max() < white * _DARK:
        raise DatasetError(f"{_NAMES[kind]} pixels of 0..{peaks.max():g} have no known range: {ONE_RANGE}")
    return white


def _of_smaller_range(
    peaks: npt.NDArray[np.float64], fractional: npt.NDArray[np.bool_], whites: Sequence[float], white: float
) -> npt.NDArray[np.bool_]:
    """bool [N]: the images that would be black, but fit another range. Some of whole numbers may be truly black."""
    smaller = max((other for other in whites if other <= white * _BLACK), default=0.0)
    black = (peaks > 0) & (peaks <= smaller)
    return black if black.mean() > 1 - _NEARLY_ALL else black & fractional
