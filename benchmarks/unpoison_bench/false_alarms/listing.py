"""All sets of the benchmark."""

from unpoison.errors import ConfigError

from . import develop, unseen
from .cases import Case, Half

CASES: dict[str, Case] = {case.name: case for case in (*develop.CASES, *unseen.CASES)}
"""By name."""


def get_case(name: str) -> Case:
    """Looks a set up.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in CASES:
        raise ConfigError(f"unknown set {name!r}: choose one of {', '.join(CASES)}")
    return CASES[name]


def cases_of(half: Half) -> list[Case]:
    """The sets of a half."""
    return [case for case in CASES.values() if case.half == half]
