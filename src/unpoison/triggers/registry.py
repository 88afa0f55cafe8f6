"""The kinds of triggers: those of the package, those that other packages offer, and those of the program itself."""

import functools
import inspect
from importlib.metadata import entry_points
from typing import TypeVar

from ..errors import ConfigError
from ..plugins import load, unusable
from .base import Trigger

GROUP = "unpoison.triggers"
"""Of the entry points by which other packages offer kinds of triggers; each names a class."""
UNEXPLAINED = "none"
"""Stands in files for no trigger, so no kind has this name."""
_KINDS: dict[str, type[Trigger]] = {}

T = TypeVar("T", bound=Trigger)


def register_trigger(trigger: type[T]) -> type[T]:
    """Adds a kind of trigger, to be tried whenever flagged images are explained; a decorator of its class.

    Args:
        trigger: a `Trigger` with `kind` and `description`.

    Returns:
        The class.

    Raises:
        ConfigError: it is no such class, lacks something, or another one has its name.
    """
    if not (isinstance(trigger, type) and issubclass(trigger, Trigger)):
        raise ConfigError(f"{trigger!r} is no kind of trigger: register a subclass of unpoison.Trigger")
    if inspect.isabstract(trigger):
        missing = ", ".join(sorted(trigger.__abstractmethods__))
        raise ConfigError(f"{trigger.__name__} lacks {missing}: a kind of trigger has all of them")
    for name in ("kind", "description"):
        value = getattr(trigger, name, None)
        if not (isinstance(value, str) and value and value.isprintable()):
            raise ConfigError(f"{trigger.__name__}.{name} is {value!r}: a kind of trigger says in words what it is")
    if trigger.kind == UNEXPLAINED or _KINDS.setdefault(trigger.kind, trigger) is not trigger:
        raise ConfigError(f"{trigger.__name__}: the kind {trigger.kind!r} is taken: choose another name for it")
    return trigger


def triggers() -> list[type[Trigger]]:
    """Every kind, in the order in which they are tried.

    Raises:
        ConfigError: another package offers one that cannot be used.
    """
    _load_entry_points()
    return sorted(_KINDS.values(), key=lambda trigger: trigger.order)


def get_trigger(kind: str) -> type[Trigger]:
    """The kind of this name.

    Raises:
        ConfigError: there is none, or another package offers one that cannot be used.
    """
    _load_entry_points()
    if kind not in _KINDS:
        known = ", ".join(found.kind for found in triggers())
        raise ConfigError(
            f"unknown kind of trigger {kind!r}: choose one of {known}, or install or import the package that has it"
        )
    return _KINDS[kind]


@functools.cache
def _load_entry_points() -> None:
    """Once, and not before somebody asks: what others offer may take long to import."""
    for point in entry_points(group=GROUP):
        found = load(point)
        try:
            register_trigger(found)
        except ConfigError as error:
            raise unusable(point, error) from error
