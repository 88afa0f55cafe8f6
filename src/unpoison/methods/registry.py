"""Methods by name: those that are registered, and every detector on features."""

from typing import Any

from ..detectors import get_detector, list_detectors
from ..errors import ConfigError
from .base import MethodInfo
from .published import method_of

_METHODS: dict[str, MethodInfo] = {}


def register(info: MethodInfo) -> None:
    """Makes a method available under its name."""
    _METHODS[info.name] = info


def list_methods() -> list[str]:
    return sorted({*_METHODS, *list_detectors()})


def get_method(name: str) -> MethodInfo:
    """Looks a method up.

    Raises:
        ConfigError: no method has this name, or a detector of another package cannot be loaded.
    """
    if isinstance(name, str) and name in _METHODS:
        return _METHODS[name]
    if isinstance(name, str) and name in list_detectors():
        return method_of(get_detector(name))
    raise ConfigError(f"unknown method {name!r}: choose one of {', '.join(list_methods())}")


def resolve_config(info: MethodInfo, config: Any) -> Any:
    """A configuration of a method, given as one or as the name of a preset.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(config, str):
        return info.preset(config)
    if not isinstance(config, info.config_class):
        raise ConfigError(
            f"config of method {info.name!r} is a preset's name or a {info.config_class.__name__}, "
            f"got {type(config).__name__}"
        )
    return config
