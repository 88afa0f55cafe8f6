"""Other objects with the same content, by which values are followed through calls."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import UnreadableError
from .encoded import Encoded, file_of
from .items import with_parts
from .size_limit import check_pixels

ARRAYS = (Encoded, Image.Image, np.ndarray, torch.Tensor)
DEPTH = 3
"""Of containers within each other: a call's arguments, a sample, its lists of masks or boxes."""


def is_tracked(value: Any) -> bool:
    """Whether a value has an identity that can be followed, unlike numbers, texts and the empty tuple."""
    if isinstance(value, ARRAYS):
        return True
    return len(value) > 0 if isinstance(value, tuple) else isinstance(value, list | Mapping)


def children(value: Any) -> Iterator[tuple[Any, Any]]:
    """The parts of a container, each with its position or key; none of anything else."""
    if isinstance(value, list | tuple):
        yield from enumerate(value)
    elif isinstance(value, Mapping):
        yield from value.items()


def alias(value: Any, depth: int) -> Any:
    """Another object with the same content; the parts of containers, too."""
    if isinstance(value, Encoded):
        return _shared(value)
    if isinstance(value, Image.Image):
        check_pixels(value)
        try:
            value.load()
        except Exception as error:
            raise UnreadableError(repr(error), file_of(value)) from error
        return _shared(value)
    if isinstance(value, np.ndarray):
        return value.view()
    if isinstance(value, torch.Tensor):
        return value.view_as(value) if type(value) is torch.Tensor else copy.copy(value)
    if not is_tracked(value):
        return value
    return with_parts(value, {key: alias(part, depth - 1) for key, part in children(value)} if depth else {})


def _shared(value: Any) -> Any:
    # Not copy.copy, which writes and reads all pixels of a PIL image.
    out = object.__new__(type(value))
    out.__dict__.update(value.__dict__)
    if isinstance(value, Image.Image):
        # Whoever draws on it then does so on a copy of the pixels.
        out.readonly = 1
    return out
