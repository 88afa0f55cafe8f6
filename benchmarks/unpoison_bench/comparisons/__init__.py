"""The comparisons by name: every table and figure of both papers that can be measured, and our own."""

from unpoison.errors import ConfigError

from ..comparison import Comparison
from . import bab, ours, pdautor, pdautor_detector

COMPARISONS: dict[str, Comparison] = {
    comparison.name: comparison
    for comparison in (
        *pdautor_detector.COMPARISONS,
        *pdautor.COMPARISONS,
        *bab.COMPARISONS,
        *ours.COMPARISONS,
    )
}


def get_comparison(name: str) -> Comparison:
    """Looks a comparison up.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in COMPARISONS:
        raise ConfigError(f"unknown comparison {name!r}: choose one of {', '.join(COMPARISONS)}")
    return COMPARISONS[name]
