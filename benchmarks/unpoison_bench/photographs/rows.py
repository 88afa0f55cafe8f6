"""The rows: which photographs, which trigger, and what is asked for."""

import dataclasses
from typing import Literal

from unpoison import rules
from unpoison.errors import ConfigError

Source = Literal["clothing", "celeba"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limit:
    """How large or small a measure may be."""

    key: str
    """Of the measures."""
    title: str
    bound: float
    at_least: bool = False
    """Whether the measure must be the bound or more, rather than that or less."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One poisoned set of photographs."""

    name: str
    source: Source = "clothing"
    trigger: str | None = None
    """A name in `TRIGGERS`; none for photographs without poison."""
    rate: float = 0.0
    """Fraction of the whole set that is poisoned."""
    target: str = "shirt"
    """Name of the attacker's class."""
    max_altered: float = rules.MAX_ALTERED
    """See `SanitizedDataset`: no limit where half of the attacker's class and more is poisoned."""
    limits: tuple[Limit, ...] = ()


OBEYED = Limit(key="asr_output", title="ASR after training on the output", bound=0.05)
ELSEWHERE = Limit(key="error_elsewhere_added", title="error elsewhere, beyond that of doing nothing", bound=0.0)


def _found(precision: float, ratio: float, *more: Limit) -> tuple[Limit, ...]:
    """What is asked of a row with poison."""
    return (
        Limit(key="average_precision", title="AP", bound=precision, at_least=True),
        Limit(key="error_changed_ratio", title="error in the changed pixels, of that of doing nothing", bound=ratio),
        *more,
        OBEYED,
    )


PATCH = _found(0.97, 0.25, Limit(key="fpr", title="FPR", bound=0.003), ELSEWHERE)
SMALL_PATCH, BLEND, WAVE, WARP = _found(0.9, 0.35, ELSEWHERE), _found(0.95, 0.25), _found(0.9, 0.15), _found(0.85, 0.6)
CLEAN = (
    Limit(key="fpr", title="FPR", bound=0.005),
    Limit(key="worst_class_altered_share", title="altered of a class", bound=0.02),
)
FACES = (
    Limit(key="apd_all", title="APD", bound=0.03),
    Limit(key="lra_all", title="LRA", bound=0.746, at_least=True),
    ELSEWHERE,
    OBEYED,
)

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row(name="patch-6", trigger="patch-6", rate=0.03, limits=PATCH),
        Row(name="patch-1.5", trigger="patch-1.5", rate=0.03, limits=SMALL_PATCH),
        Row(name="blend", trigger="blend", rate=0.05, limits=BLEND),
        Row(name="wave-6", trigger="wave-6", rate=0.05, max_altered=1.0, limits=WAVE),
        Row(name="wave-48", trigger="wave-48", rate=0.05, max_altered=1.0, limits=WAVE),
        Row(name="warp", trigger="warp", rate=0.05, limits=WARP),
        Row(name="clean", limits=CLEAN),
        Row(name="badnet-patch", trigger="badnet-patch", rate=0.03, limits=PATCH),
        Row(name="phoenix-corner", trigger="phoenix-corner", rate=0.03, limits=PATCH),
        Row(name="trojan-watermark", trigger="trojan-watermark", rate=0.03, limits=PATCH),
        Row(name="hello-kitty", trigger="hello-kitty", rate=0.05, limits=BLEND),
        Row(name="low-frequency", trigger="low-frequency", rate=0.05, limits=BLEND),
        Row(
            name="celeba-badnets",
            source="celeba",
            trigger="badnets",
            rate=0.01,
            target="NoMakeup_MouthClosed_NotSmiling",
            limits=FACES,
        ),
    )
}
"""By name. Published triggers are asked for what ours of the same kind are."""


def get_row(name: str) -> Row:
    """Looks a row up.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in ROWS:
        raise ConfigError(f"unknown row {name!r}: choose one of {', '.join(ROWS)}")
    return ROWS[name]
