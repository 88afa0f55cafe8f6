"""What other packages offer by entry points: kinds of triggers, detectors, commands."""

from importlib.metadata import EntryPoint
from typing import Any

from .errors import ConfigError


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
