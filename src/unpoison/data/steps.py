"""The transforms that reading an item calls: noted while raw items are read, replayed on changed ones.

A stand-in notes each call and hands back stand-ins of the images, arrays and containers that it was given. Each of
them is an object of its own, so that in the raw item it shows where the result of the call belongs, and that some
other field holds the input. A replay follows them: it makes the same calls, with all of their arguments, on the changed
image and label, and puts all results in their places.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import DatasetError, UnreadableError
from .encoded import Encoded, file_of
from .items import Keys, with_parts
from .size_limit import check_pixels

_ARRAYS = (Encoded, Image.Image, np.ndarray, torch.Tensor)
_DEPTH = 3
"""Of containers within each other: a call's arguments, a sample, its lists of masks or boxes."""
_GONE = object()


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
        if args and kwargs and any(map(_is_tracked, kwargs.values())):
            raise NotFoundAgain(
                f"`{self.name}` is called with images both by position and by keyword, so that its results cannot be "
                "told apart: pass all of them in one way"
            )
        step = Step(self.name, self.function, args, kwargs, None)
        step.out = _alias(step.inputs, _DEPTH)
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
        if value is label and not isinstance(label, _ARRAYS):
            continue
        if not isinstance(value, _ARRAYS) or (given and value is not image):
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


class Replay:
    """How the calls of one item's reading lead from its raw image and label to the item.

    Args:
        steps: the calls, in their order.
        item: the raw item, which holds the stand-ins.
        keys: of the item.
    """

    def __init__(self, steps: list[Step], item: Any, keys: Keys) -> None:
        self._steps, self._item, self._keys = steps, item, keys
        self._sources: dict[int, Any] = {}
        for step in steps:
            self._sources.update((id(out), given) for out, given in _pairs(step.out, step.inputs, _DEPTH))
        self._image, self._label = self._origin(item[keys.image]), self._origin(item[keys.label])
        self._labels = [None if _is_tracked(self._label) else self._find_label(step.inputs) for step in steps]
        self._loose = self._find_loose()

    @property
    def lost(self) -> str | None:
        """The first transform that was given an image, array, container or label which is not found again in the
        item; None where there is none.

        Something then changed the result after the call, or threw it away, and nothing tells which.
        """
        return self._steps[min(self._loose)].name if self._loose else None

    def given_with_image(self, step: Step) -> int:
        """How many images, arrays and containers a call was given, the image among them; else 0."""
        given = [value for _, value in _pairs(step.out, step.inputs, _DEPTH)]
        return len(_parts(step)) if any(self._origin(value) is self._image for value in given) else 0

    def __call__(self, image: Any, label: Any, run: Run) -> Any:
        """The item with another raw image and label.

        Raises:
            DatasetError: a transform does not return what it was given.
        """
        # All these objects live as long as this one, so that an id means one of them.
        values: dict[int, Any] = {id(self._image): image}
        if _is_tracked(self._label):
            values[id(self._label)] = label
        late = []
        for number, (step, path) in enumerate(zip(self._steps, self._labels, strict=True)):
            if number in self._loose and len(step.args) == 1:
                late.append(step)
                continue
            inputs = _replaced(step.inputs, values, _DEPTH)
            if path is not None:
                inputs = _put_at(inputs, path, label)
            result = run(step, inputs)
            _check(step, result)
            _bind(step.out, result, values, _DEPTH)
            if path is not None:
                label = _get_at(result, path, label)
        item = _replaced(self._item, values, _DEPTH)
        if not _is_tracked(self._label) and id(self._item) not in values:
            item = with_parts(item, {self._keys.label: label})
        for step in late:
            place = self._keys.label if step.name == "target_transform" else self._keys.image
            item = with_parts(item, {place: run(step, item[place])})
        return item

    def _origin(self, value: Any) -> Any:
        """What a stand-in stands for, back through all calls."""
        while id(value) in self._sources:
            value = self._sources[id(value)]
        return value

    def _find_label(self, inputs: Any) -> tuple[Any, ...] | None:
        """Where a call is given the label, which is a number or text."""
        if not _is_tracked(inputs):
            return () if _equal(inputs, self._label) else None
        found = [key for key, part in _children(inputs) if _equal(part, self._label)]
        if self._keys.label in found:
            return (self._keys.label,)
        if found:
            # The same number may stand for something else as well: in a call that is the later argument.
            return (found[0],) if isinstance(inputs, tuple) or len(found) == 1 else None
        for key, part in _children(inputs):
            if isinstance(part, Mapping | list | tuple) and (path := self._find_label(part)) is not None:
                return (key, *path)
        return None

    def _find_loose(self) -> set[int]:
        """Numbers of the steps of which something is not found again."""
        reached = set(_ids(self._item, _DEPTH))
        loose = set()
        for number in reversed(range(len(self._steps))):
            step = self._steps[number]
            lost = self._labels[number] is None if not _is_tracked(step.inputs) else not _all_reached(step.out, reached)
            if lost:
                loose.add(number)
            reached.update(_ids(step.inputs, _DEPTH))
        return loose


def _is_tracked(value: Any) -> bool:
    """Whether a value has an identity that can be followed, unlike numbers, texts and the empty tuple."""
    if isinstance(value, _ARRAYS):
        return True
    return len(value) > 0 if isinstance(value, tuple) else isinstance(value, list | Mapping)


def _parts(step: Step) -> list[Any]:
    """The images, arrays and containers among a call's arguments."""
    return [value for value in (*step.args, *step.kwargs.values()) if _is_tracked(value)]


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, list | tuple):
        yield from enumerate(value)
    elif isinstance(value, Mapping):
        yield from value.items()


def _alias(value: Any, depth: int) -> Any:
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
    if not _is_tracked(value):
        return value
    return with_parts(value, {key: _alias(part, depth - 1) for key, part in _children(value)} if depth else {})


def _shared(value: Any) -> Any:
    # Not copy.copy, which writes and reads all pixels of a PIL image.
    out = object.__new__(type(value))
    out.__dict__.update(value.__dict__)
    if isinstance(value, Image.Image):
        # Whoever draws on it then does so on a copy of the pixels.
        out.readonly = 1
    return out


def _pairs(out: Any, given: Any, depth: int) -> Iterator[tuple[Any, Any]]:
    """Each stand-in with what it stands for."""
    if _is_tracked(given):
        yield out, given
        if depth:
            for key, part in _children(given):
                yield from _pairs(out[key], part, depth - 1)


def _ids(value: Any, depth: int) -> Iterator[int]:
    if _is_tracked(value):
        yield id(value)
        if depth:
            for _, part in _children(value):
                yield from _ids(part, depth - 1)


def _all_reached(out: Any, reached: set[int]) -> bool:
    if not _is_tracked(out) or id(out) in reached:
        return True
    parts = [part for _, part in _children(out) if _is_tracked(part)]
    return bool(parts) and all(_all_reached(part, reached) for part in parts)


def _replaced(value: Any, values: dict[int, Any], depth: int) -> Any:
    """A value with those of its parts replaced for which there are others, by id."""
    if not _is_tracked(value):
        return value
    if id(value) in values:
        new = values[id(value)]
        if new is _GONE:
            raise DatasetError("a transform leaves out what the dataset uses of its result: return all that was given")
        return new
    if not depth:
        return value
    parts = {key: _replaced(part, values, depth - 1) for key, part in _children(value)}
    changed = {key: part for key, part in parts.items() if part is not value[key]}
    return with_parts(value, changed) if changed else value


def _bind(out: Any, result: Any, values: dict[int, Any], depth: int) -> None:
    """Notes the result of a call as what its stand-ins are replaced by."""
    if not _is_tracked(out):
        return
    values[id(out)] = result
    if depth and result is not _GONE:
        for key, part in _children(out):
            _bind(part, _get_at(result, (key,), _GONE), values, depth - 1)


def _check(step: Step, result: Any) -> None:
    if step.by_keyword and not isinstance(result, Mapping):
        raise DatasetError(f"`{step.name}` is called by keyword and returns {type(result).__name__}, not a dict")
    if len(step.args) > 1 and not (isinstance(result, tuple | list) and len(result) == len(step.args)):
        raise DatasetError(
            f"`{step.name}` is given {len(step.args)} values and returns {type(result).__name__}, not as many"
        )


def _get_at(value: Any, path: tuple[Any, ...], default: Any) -> Any:
    for key in path:
        if isinstance(value, list | tuple):
            known = isinstance(key, int) and key < len(value)
        else:
            known = isinstance(value, Mapping) and key in value
        if not known:
            return default
        value = value[key]
    return value


def _put_at(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    return with_parts(value, {path[0]: _put_at(value[path[0]], path[1:], new)}) if path else new


def _equal(value: Any, label: Any) -> bool:
    return value is label or (type(value) is type(label) and not _is_tracked(value) and bool(value == label))
