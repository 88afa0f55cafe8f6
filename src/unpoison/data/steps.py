"""The transforms that reading an item calls: noted while raw items are read.

A stand-in notes each call and hands back stand-ins of the images, arrays and containers that it was given. Each of
them is an object of its own, so that in the raw item it shows where the result of the call belongs, and that some
other field holds the input. See `unpoison.data.replay` for what is made of them.
"""

import dataclasses
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ..errors import DatasetError
from .aliases import ARRAYS, DEPTH, alias, is_tracked
from .items import Keys


class NotFoundAgain(DatasetError):
    """The result of a transform cannot be followed into the item."""


@dataclasses.dataclass(slots=True)
class Step:
    """One call of a transform that reading an item would have made."""

    name: str
    """Attribute that held the transform; "format" for `with_transform` and `set_format`."""
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    """What the stand-in handed back: of the structure of `inputs`."""

    @property
    def by_keyword(self) -> bool:
        return not self.args

    @property
    def inputs(self) -> Any:
        """The argument, or the tuple or dict of several: what the transform's result looks like."""
        if self.by_keyword:
            return self.kwargs
        return self.args[0] if len(self.args) == 1 else self.args

    def call(self, inputs: Any, function: Callable[..., Any]) -> Any:
        """Calls a function as the dataset called its transform."""
        if self.by_keyword:
            return function(**inputs)
        return function(*((inputs,) if len(self.args) == 1 else inputs), **self.kwargs)


Run = Callable[[Step, Any], Any]
"""Makes the call of a step on inputs."""

_steps: ContextVar[list[Step] | None] = ContextVar("steps", default=None)


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
    """Stands in for a transform: notes the call and hands back stand-ins of the inputs."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args and kwargs and any(map(is_tracked, kwargs.values())):
            raise NotFoundAgain(
                f"`{self.name}` is called with images both by position and by keyword, so that its results cannot be "
                "told apart: pass all of them in one way"
            )
        step = Step(self.name, self.function, args, kwargs, None)
        step.out = alias(step.inputs, DEPTH)
        steps = _steps.get()
        if steps is not None:
            steps.append(step)
        return step.out


def is_chain(steps: list[Step], item: Any, keys: Keys) -> bool:
    """Whether each call is given nothing but the image, as the call before it left it, or nothing but the label."""
    image, label = None, item[keys.label]
    given: list[Any] = []
    for step in steps:
        if step.kwargs or len(step.args) != 1:
            return False
        (value,) = step.args
        if value is label and not isinstance(label, ARRAYS):
            continue
        if not isinstance(value, ARRAYS) or (given and value is not image):
            return False
        given.append(value)
        image = step.out
    if given and image is not item[keys.image]:
        return False
    parts = item.values() if isinstance(item, Mapping) else item
    return not any(part is value for part in parts for value in given)


def note_again(step: Step, inputs: Any) -> Any:
    """A `Run` that makes no call: it notes the step for a dataset that is read through a wrapper."""
    return step.call(inputs, StandIn(step.name, step.function))
