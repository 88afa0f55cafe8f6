"""What a restorer is built from."""

import dataclasses

from ..errors import ConfigError, RestorerError
from ..triggers import UNEXPLAINED, get_trigger

MIN_SIDE, MAX_SIDE = 8, 256
_MAX_WIDTH, _MAX_DEPTH = 256, 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """What `config.json` holds besides the format: enough to build a restorer before its weights are read.

    Raises:
        RestorerError: a value has the wrong type or is out of range.
    """

    height: int
    width: int
    channels: int
    kind: str
    """Of the trigger; `UNEXPLAINED` where the CycleGAN alone restores."""
    generator_width: int
    transformer_depth: int
    residual: bool
    positions: bool

    def __post_init__(self) -> None:
        limits = {
            "height": (MIN_SIDE, MAX_SIDE),
            "width": (MIN_SIDE, MAX_SIDE),
            "channels": (1, 4),
            "generator_width": (1, _MAX_WIDTH),
            "transformer_depth": (0, _MAX_DEPTH),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise RestorerError(f"a restorer needs {name} to be a whole number in {low}..{high}, got {value!r}")
        for name in ("residual", "positions"):
            if type(getattr(self, name)) is not bool:
                raise RestorerError(f"a restorer needs {name} to be true or false, got {getattr(self, name)!r}")
        if self.kind != UNEXPLAINED:
            try:
                get_trigger(self.kind)
            except ConfigError as error:
                raise RestorerError(f"a restorer's trigger cannot be built: {error}") from error
