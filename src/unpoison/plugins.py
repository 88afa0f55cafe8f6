"""What other packages offer by entry points: kinds of triggers, detectors, features, commands."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from .errors import ConfigError

T = TypeVar("T")


def offered(group: str, name: str, kind: type[T]) -> T | None:
    """What an installed package offers under a name; None where none does.

    Args:
        kind: what it must be. It must have the name itself, too.

    Raises:
        ConfigError: it cannot be imported, or is something else.
    """
    for entry in entry_points(group=group, name=name):
        found = load(entry)
        if not isinstance(found, kind) or getattr(found, "name", None) != name:
            raise unusable(entry, f"{entry.value} is no {kind.__name__} of this name")
        return found
    return None


def load(entry: EntryPoint) -> Any:
    """What an entry point names.

    Raises:
        ConfigError: it cannot be imported.
    """
    try:
        return entry.load()
    except Exception as error:
        raise unusable(entry, error) from error


def unusable(entry: EntryPoint, reason: object) -> ConfigError:
    """The error that names the package, and the fix."""
    package = entry.dist.name if entry.dist is not None else entry.value
    return ConfigError(
        f"{entry.name!r} of {package} ({entry.group}) cannot be used ({reason}): update or uninstall that package"
    )
