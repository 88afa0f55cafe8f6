"""The structure of a dataset's items: where image and label are, and how to put others in their place."""

import copy
import math
import numbers
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from ..errors import DatasetError
from .images import fingerprint, in_words, is_image

_IMAGE_NAMES = ("image", "img", "pixel_values", "picture", "x", "input", "data")
_LABEL_NAMES = ("label", "labels", "fine_label", "target", "targets", "class", "category", "cls", "y")
_MAX_CLASS = 2**63 - 1
_SHAPE = "items must be (image, label, ...), or a mapping or namedtuple with one image and one label"


class Keys(NamedTuple):
    """Position or key of image and label in an item."""

    image: Any
    label: Any


FOUND = Keys(None, None)
"""Where nobody says which field is what."""
_FIRST_TWO = Keys(0, 1)


def find_keys(item: Any, chosen: Keys = FOUND) -> Keys:
    """Finds image and label: the first two of a sequence, by name or by type in a mapping.

    Args:
        item: as the dataset gives it.
        chosen: the fields that the user names, by key, position or, in a namedtuple, by name; None for those to find.

    Raises:
        DatasetError: the item has another structure, lacks a field that was chosen, or has several candidates.
    """
    if isinstance(item, (tuple, list)) and len(item) >= 2:
        if chosen is FOUND and is_image(item[0]):
            return _FIRST_TWO
        image, label = (_position(item, what, given) for what, given in zip(("image", "label"), chosen, strict=True))
        keys = Keys(0 if image is None else image, 1 if label is None else label)
        if is_image(item[keys.image]) or item[keys.image] is None:
            return keys
        _check_dimensions(item[keys.image])
    elif isinstance(item, Mapping):
        for what, key in zip(("image", "label"), chosen, strict=True):
            if key is not None and key not in item:
                raise no_such_field(what, key, list(item))
        image, label = chosen
        if image is None:
            for name in _IMAGE_NAMES:
                _check_dimensions(item.get(name))
            image = _find(item, "image", _IMAGE_NAMES, is_image)
        if label is None:
            label = _find(item, "label", _LABEL_NAMES, lambda value: _is_label(value) and not is_image(value))
        if is_image(item[image]) or item[image] is None:
            return Keys(image, label)
        _check_dimensions(item[image])
    described: Any = in_words(item)
    if isinstance(item, tuple | list):
        described = [in_words(part) for part in item]
    elif isinstance(item, Mapping):
        described = {key: in_words(part) for key, part in item.items()}
    raise DatasetError(f"the item is {described}: {_SHAPE}")


def _check_dimensions(image: Any) -> None:
    """Raises a DatasetError for an array in the place of the image that has too few or too many dimensions."""
    if isinstance(image, np.ndarray | torch.Tensor) and not is_image(image):
        raise DatasetError(
            f"the image is {in_words(image)}, of {image.ndim} dimensions: give one image per item, [H,W], [H,W,C] or "
            "[C,H,W]"
        )


def no_such_field(what: str, name: Any, fields: list[Any]) -> DatasetError:
    """The error for a chosen field that there is not."""
    return DatasetError(f"there is no field {name!r} for {what}=: choose one of {', '.join(map(repr, fields))}")


def put(item: Any, keys: Keys, image: Any, label: Any) -> Any:
    """A copy of an item, of the same container type, with another image and label."""
    return with_parts(item, {keys.image: image, keys.label: label})


def with_parts(item: Any, values: dict[Any, Any]) -> Any:
    """A copy of a container, of the same type, with other values at some positions or keys."""
    if not isinstance(item, (tuple, list)) and isinstance(item, Mapping):
        if not hasattr(item, "__setitem__"):
            return type(item)({**item, **values})  # type: ignore[call-arg]
        out = copy.copy(item)
        for key, value in values.items():
            out[key] = value
        return out
    parts = [values.get(position, part) for position, part in enumerate(item)]
    return type(item)._make(parts) if hasattr(item, "_make") else type(item)(parts)


def class_of(label: Any) -> int | str:
    """A label as a plain non-negative int, or a str.

    Raises:
        DatasetError: the label is missing, fractional, negative or not a single class.
    """
    if type(label) is int and 0 <= label <= _MAX_CLASS:
        return label
    if _is_single(label) and getattr(label.dtype, "kind", "") not in tuple("mM"):  # whose items may be plain ints
        with suppress(RuntimeError):  # a tensor without values
            label = label.item()
    if isinstance(label, str):
        return str(label)
    if label is None or (isinstance(label, numbers.Real) and math.isnan(label)):
        raise DatasetError("the label is missing: give the item a label or remove it")
    if not isinstance(label, numbers.Real):
        raise DatasetError(
            f"the label is {in_words(label)}, not a single class: use an int or a str per item, or name the field "
            "that is one by label="
        )
    # Integers never pass through floats, which merge those above 2**53.
    exact = label if isinstance(label, numbers.Integral) else float(label)
    if isinstance(exact, float) and not exact.is_integer():
        raise DatasetError(f"the label {label} is fractional: use class numbers 0, 1, 2, ...")
    number = int(exact)
    if number < 0:
        raise DatasetError(f"the label {label} is negative: use class numbers from 0")
    if number > _MAX_CLASS:
        raise DatasetError(f"the label {label} is too large: use class numbers below 2**63, or names")
    return number


def label_like(value: int | str, like: Any) -> Any:
    """A class as a label of the type of `like`."""
    if isinstance(like, torch.Tensor):
        return torch.full_like(like, int(value))
    if isinstance(like, np.ndarray):
        return np.full(like.shape, value, dtype=None if isinstance(value, str) else like.dtype)
    return type(like)(value)


def same_parts(a: Any, b: Any) -> bool:
    """Whether two items, or parts of items, are of the same types and hold the same."""
    if isinstance(a, Image.Image) and isinstance(b, Image.Image):
        return fingerprint(a, 0) == fingerprint(b, 0)
    if type(a) is not type(b):
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same_parts(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same_parts, a, b))
    if isinstance(a, torch.Tensor | np.ndarray):
        return fingerprint(a, 0) == fingerprint(b, 0) if is_image(a) else bool((a == b).all())
    return bool(a == b)


def _is_single(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1
    return isinstance(value, np.ndarray | np.generic) and value.size == 1


def _is_label(value: Any) -> bool:
    return _is_single(value) or isinstance(value, str | numbers.Real)


def _find(item: Mapping[Any, Any], what: str, names: tuple[str, ...], fits: Any) -> Any:
    for name in names:
        # A label that is missing is still the label: `class_of` then says so.
        if name in item and (fits(item[name]) or item[name] is None):
            return name
    found = [key for key, value in item.items() if fits(value)]
    if len(found) == 1:
        return found[0]
    raise DatasetError(
        f"{len(found)} of the fields {list(item)} look like the {what}: choose one by {what}=, or name it {what!r}"
    )


def _position(item: Any, what: str, given: Any) -> int | None:
    """Of a chosen field in a sequence."""
    names = getattr(item, "_fields", ())
    if given is None or given in names:
        return None if given is None else names.index(given)
    if type(given) is not int or not 0 <= given < len(item):
        raise no_such_field(what, given, [*range(len(item)), *names])
    return given
