"""The calls that reading an item would have made, made on a changed image and label.

A replay follows the stand-ins that the calls were given: it makes the same calls, with all of their arguments, and puts
all results in their places.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import DatasetError
from .aliases import DEPTH, children, is_tracked
from .items import Keys, with_parts
from .steps import Run, Step

_GONE = object()


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
            self._sources.update((id(out), given) for out, given in _pairs(step.out, step.inputs, DEPTH))
        self._image, self._label = self._origin(item[keys.image]), self._origin(item[keys.label])
        self._labels = [None if is_tracked(self._label) else self._find_label(step.inputs) for step in steps]
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
        given = [value for _, value in _pairs(step.out, step.inputs, DEPTH)]
        return len(_parts(step)) if any(self._origin(value) is self._image for value in given) else 0

    def __call__(self, image: Any, label: Any, run: Run) -> Any:
        """The item with another raw image and label.

        Raises:
            DatasetError: a transform does not return what it was given.
        """
        # All these objects live as long as this one, so that an id means one of them.
        values: dict[int, Any] = {id(self._image): image}
        if is_tracked(self._label):
            values[id(self._label)] = label
        late = []
        for number, (step, path) in enumerate(zip(self._steps, self._labels, strict=True)):
            if number in self._loose and len(step.args) == 1:
                late.append(step)
                continue
            inputs = _replaced(step.inputs, values, DEPTH)
            if path is not None:
                inputs = _put_at(inputs, path, label)
            result = run(step, inputs)
            _check(step, result)
            _bind(step.out, result, values, DEPTH)
            if path is not None:
                label = _get_at(result, path, label)
        item = _replaced(self._item, values, DEPTH)
        if not is_tracked(self._label) and id(self._item) not in values:
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
        if not is_tracked(inputs):
            return () if _equal(inputs, self._label) else None
        found = [key for key, part in children(inputs) if _equal(part, self._label)]
        if self._keys.label in found:
            return (self._keys.label,)
        if found:
            # The same number may stand for something else as well: in a call that is the later argument.
            return (found[0],) if isinstance(inputs, tuple) or len(found) == 1 else None
        for key, part in children(inputs):
            if isinstance(part, Mapping | list | tuple) and (path := self._find_label(part)) is not None:
                return (key, *path)
        return None

    def _find_loose(self) -> set[int]:
        """Numbers of the steps of which something is not found again."""
        reached = set(_ids(self._item, DEPTH))
        loose = set()
        for number in reversed(range(len(self._steps))):
            step = self._steps[number]
            lost = self._labels[number] is None if not is_tracked(step.inputs) else not _all_reached(step.out, reached)
            if lost:
                loose.add(number)
            reached.update(_ids(step.inputs, DEPTH))
        return loose


def _parts(step: Step) -> list[Any]:
    """The images, arrays and containers among a call's arguments."""
    return [value for value in (*step.args, *step.kwargs.values()) if is_tracked(value)]


def _pairs(out: Any, given: Any, depth: int) -> Iterator[tuple[Any, Any]]:
    """Each stand-in with what it stands for."""
    if is_tracked(given):
        yield out, given
        if depth:
            for key, part in children(given):
                yield from _pairs(out[key], part, depth - 1)


def _ids(value: Any, depth: int) -> Iterator[int]:
    if is_tracked(value):
        yield id(value)
        if depth:
            for _, part in children(value):
                yield from _ids(part, depth - 1)


def _all_reached(out: Any, reached: set[int]) -> bool:
    if not is_tracked(out) or id(out) in reached:
        return True
    parts = [part for _, part in children(out) if is_tracked(part)]
    return bool(parts) and all(_all_reached(part, reached) for part in parts)


def _replaced(value: Any, values: dict[int, Any], depth: int) -> Any:
    """A value with those of its parts replaced for which there are others, by id."""
    if not is_tracked(value):
        return value
    if id(value) in values:
        new = values[id(value)]
        if new is _GONE:
            raise DatasetError("a transform leaves out what the dataset uses of its result: return all that was given")
        return new
    if not depth:
        return value
    parts = {key: _replaced(part, values, depth - 1) for key, part in children(value)}
    changed = {key: part for key, part in parts.items() if part is not value[key]}
    return with_parts(value, changed) if changed else value


def _bind(out: Any, result: Any, values: dict[int, Any], depth: int) -> None:
    """Notes the result of a call as what its stand-ins are replaced by."""
    if not is_tracked(out):
        return
    values[id(out)] = result
    if depth and result is not _GONE:
        for key, part in children(out):
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
    return value is label or (type(value) is type(label) and not is_tracked(value) and bool(value == label))
