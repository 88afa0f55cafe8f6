"""All sets of the benchmark, and the choice among them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from unpoison.errors import ConfigError

from . import develop, unseen
from .cases import Case, Half

CASES: tuple[Case, ...] = (*develop.CASES, *unseen.CASES)


def get_case(name: str) -> Case:
    """Looks a set up.

    Raises:
        ConfigError: there is none of this name.
    """
    return choose_cases(None, [name])[0]


def choose_cases(half: Half | None, patterns: Sequence[str] | None = None) -> list[Case]:
    """The sets of a half, or of both when None, whose names match one of the patterns, in which * stands for anything.

    Raises:
        ConfigError: no set matches.
    """
    cases = [case for case in CASES if half in (None, case.half)]
    chosen = [case for case in cases if patterns is None or any(fnmatchcase(case.name, one) for one in patterns)]
    if not chosen:
        raise ConfigError(f"no set matches: choose among {', '.join(case.name for case in cases)}")
    return chosen
