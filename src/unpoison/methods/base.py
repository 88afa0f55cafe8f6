"""What a method is."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..context import Context
from ..explanation.found import Found
from ..pictures import Footprint
from ..report import OnPoison, Report
from ..restoration import Restorer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a method hands back: plain arrays, so that stages can run anywhere."""

    report: Report
    restored_index: npt.NDArray[np.int64]
    """int64 [M]; positions of the samples whose pixels were restored, ascending."""
    restored_images: npt.NDArray[np.uint8]
    """uint8 [M,H,W,C]; their restored pixels at working resolution."""
    restorer: Restorer | None = None
    """The restorer that did it, where one was trained or given."""
    footprints: list[Footprint] = dataclasses.field(default_factory=list)
    """Where the triggers that were found change the pixels."""


class Run(Protocol):
    """The signature of a method's entry point."""

    def __call__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        *,
        config: Any,
        on_poison: OnPoison,
        restorer: Restorer | None,
        context: Context,
    ) -> Outcome:
        """Cleans uint8 images [N,H,W,C] with labels int64 [N] in 0..num_classes-1; see `Outcome`."""
        ...


class Find(Protocol):
    """The signature of a method's first step, which trains; arguments as of `Run`."""

    def __call__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        config: Any,
        context: Context,
    ) -> Found:
        """Says what is poisoned; of the configuration it reads what `MethodInfo.searching` names."""
        ...


class Finish(Protocol):
    """The signature of a method's second step; arguments as of `Run`."""

    def __call__(
        self,
        found: Found,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        *,
        config: Any,
        on_poison: OnPoison,
        restorer: Restorer | None,
        context: Context,
        keep: npt.NDArray[np.bool_] | None = None,
        classifiers: Path | None = None,
    ) -> Outcome:
        """Keeps, drops or restores what was found.

        Args:
            keep: bool [N], samples that are not flagged whatever was found.
            classifiers: folder in which trained classifiers that belong to `found` are kept; None to keep none.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodInfo:
    """One registered method: of one step, `run`, or of two, whose first is then not repeated for another second."""

    name: str
    run: Run
    find: Find | None = None
    finish: Finish | None = None
    searching: Callable[[Any], Any] = lambda config: config
    """Maps the configuration to the part of it that decides what `find` finds."""
    preset: Callable[[str], Any]
    """Maps a preset's name to the method's configuration; raises `ConfigError` for an unknown name."""
    config_class: type
    on_poison: OnPoison
    """What happens to flagged samples unless the user says otherwise."""
    source: str
    """The paper."""
    version: str = ""
    """Of a method that is not the package's own."""

    @property
    def key(self) -> str:
        """What names it among the keys under which results are cached."""
        return f"{self.name} {self.version}".strip()
