"""The transforms that reading an item calls: noted while raw items are read, replayed on changed ones."""

import dataclasses
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Literal

from .items import Keys, put

Style = Literal["image", "label", "joint", "item", "keyword"]


@dataclasses.dataclass(frozen=True)
class Step:
    """One call of a transform that reading an item would have made."""

    name: str
    """Attribute that held the transform; "format" for `with_transform` and `set_format`."""
    style: Style
    """What it was called with: the image, the label, both, the whole item, or `image=`."""
    function: Callable[..., Any]


_steps: ContextVar[list[Step] | None] = ContextVar("steps", default=None)


def note_steps(steps: list[Step]) -> None:
    """Adds calls to those of the item that is being read, in a dataset that is read through a wrapper."""
    current = _steps.get()
    if current is not None:
        current.extend(steps)


class collecting_steps:
    """Collects the calls that reading an item within the block would make, in their order."""

    __slots__ = ("_token",)

    def __enter__(self) -> list[Step]:
        steps: list[Step] = []
        self._token = _steps.set(steps)
        return steps

    def __exit__(self, *_: object) -> None:
        _steps.reset(self._token)


class StandIn:
    """Stands in for a transform: notes the call and hands the input through."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        style: Style
        result: Any
        if kwargs:
            style, result = "keyword", kwargs
        elif len(args) == 2:
            style, result = "joint", args
        else:
            (result,) = args
            whole = isinstance(result, Mapping | tuple | list)
            style = "label" if self.name == "target_transform" else "item" if whole else "image"
        note_steps([Step(self.name, style, self.function)])
        return result


def replay(step: Step, item: Any, keys: Keys) -> Any:
    """Makes a noted call on an item and puts the result in its place."""
    if step.style == "item":
        return step.function(item)
    image, label = item[keys.image], item[keys.label]
    match step.style:
        case "image":
            image = step.function(image)
        case "keyword":
            image = step.function(image=image)["image"]
        case "label":
            label = step.function(label)
        case "joint":
            image, label = step.function(image, label)
    return put(item, keys, image, label)
