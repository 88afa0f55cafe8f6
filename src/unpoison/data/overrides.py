"""Transforms that the user gives in place of a dataset's own, called as they want to be called."""

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DatasetError
from .encoded import Encoded
from .images import is_image
from .items import Keys, with_parts

_GREY_OR_COLOUR = ("L", "RGB", "RGBA", "I;16", "I", "F")


def wants_keywords(function: Callable[..., Any]) -> bool:
    """Whether a transform takes `image=` only, and returns a dict, as those of albumentations do."""
    if isinstance(function, types.FunctionType | types.MethodType):
        return _signature_wants_keywords(function)
    return _type_wants_keywords(type(function))  # type: ignore[arg-type]


def apply_to_image(function: Callable[..., Any], item: Any, keys: Keys) -> Any:
    """The item with a transform applied to its image.

    One that takes keywords gets the item's masks, boxes and so on along with the image, by their names; one of
    torchvision's v2 gets the other `tv_tensors` of the item along with it. All others get the image alone.

    Raises:
        DatasetError: a transform that takes keywords cannot be given this image, or what belongs to it.
    """
    if wants_keywords(function):
        return _by_keyword(function, item, keys)
    if type(function).__module__.startswith("torchvision.transforms.v2"):
        others = _tv_tensors(item, keys)
        if others:
            places = [keys.image, *others]
            return with_parts(item, dict(zip(places, function(*(item[place] for place in places)), strict=True)))
    return with_parts(item, {keys.image: function(item[keys.image])})


def _signature_wants_keywords(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    if (image := parameters.get("image")) is not None:
        return image.kind is inspect.Parameter.KEYWORD_ONLY
    # Of albumentations: (*args, force_apply=False, **data), where args are refused.
    return "force_apply" in parameters and inspect.Parameter.VAR_KEYWORD in kinds


@functools.cache
def _type_wants_keywords(kind: type[Any]) -> bool:
    try:
        return _signature_wants_keywords(kind.__call__)
    except (TypeError, ValueError):  # built in, or not callable: calling it says so
        return False


def _by_keyword(function: Callable[..., Any], item: Any, keys: Keys) -> Any:
    names = {name: name for name in item} if isinstance(item, Mapping) else _field_names(item)
    wanted = _targets(function)
    places = {name: key for name, key in names.items() if name in wanted and key not in keys}
    left = [key for key, value in _values(item) if key not in (*keys, *places.values()) and is_image(value)]
    if left:
        raise DatasetError(
            f"transform= takes keywords, and the field {left[0]!r} holds another image or mask that it would not be "
            "given: name the field as the transform does, e.g. 'mask', or let the dataset call the transform"
        )
    given = {name: _as_array(item[key], keep_palette=True) for name, key in places.items()}
    result = function(image=_as_array(item[keys.image], keep_palette=False), **given)
    if not isinstance(result, Mapping) or not {"image", *places} <= set(result):
        raise DatasetError(f"transform= takes keywords and must return a dict with {', '.join(['image', *places])}")
    return with_parts(item, {keys.image: result["image"], **{key: result[name] for name, key in places.items()}})


def _targets(function: Callable[..., Any]) -> set[str]:
    """The names of what a transform can be given along with the image."""
    names = set(getattr(function, "available_keys", ()))
    for processor in getattr(function, "processors", {}).values():
        names.update(getattr(processor.params, "label_fields", None) or ())
    if not names:
        names = set(inspect.signature(function).parameters)
    return names


def _field_names(item: Any) -> dict[str, int]:
    return {name: position for position, name in enumerate(getattr(item, "_fields", ()))}


def _values(item: Any) -> Any:
    return item.items() if isinstance(item, Mapping) else enumerate(item)


def _tv_tensors(item: Any, keys: Keys) -> list[Any]:
    from torchvision.tv_tensors import TVTensor

    return [key for key, value in _values(item) if key not in keys and isinstance(value, TVTensor)]


def _as_array(value: Any, keep_palette: bool) -> Any:
    """What albumentations takes: arrays [H,W] or [H,W,C] for images; anything else as it is."""
    if isinstance(value, Encoded):
        value = value.decode()
    if isinstance(value, Image.Image):
        if not keep_palette and value.mode not in _GREY_OR_COLOUR:
            value = value.convert("RGB")
        return np.array(value)
    if not keep_palette and not isinstance(value, np.ndarray):
        raise DatasetError(
            f"transform= takes keywords, and so arrays [H,W,C], but the images are {type(value).__name__}: convert "
            "them in a function that calls it"
        )
    return value
