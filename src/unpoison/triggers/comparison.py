"""What a trigger is looked for in: suspects, clean images beside them, and statistics of both."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .statistics import Spectrum, histograms

if TYPE_CHECKING:
    from .base import Trigger

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Reference:
    """Clean images, and statistics of them that are measured when they are first asked for."""

    images: npt.NDArray[np.uint8]
    """[M,H,W,C], of the content that the suspects have; some of them several times."""
    dataset: npt.NDArray[np.uint8]
    """[N,H,W,C], all images, may be memory-mapped."""
    clean: npt.NDArray[np.int64]
    """[n], positions in the dataset of all clean images of known content."""
    rng: np.random.Generator
    """Of `draw`."""

    @cached_property
    def shares(self) -> Tensor:
        """`histograms` of the images, float32 [H*W*C,256]."""
        return histograms(self.images)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Of the images."""
        return Spectrum.measure(self.images)

    def draw(self, count: int) -> npt.NDArray[np.int64]:
        """Positions in the dataset, int64 [at most `count`], of clean images in random order; others at every call."""
        return self.rng.permutation(self.clean)[:count]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Suspects and clean images: what a kind of trigger is looked for in, see `Trigger.find`.

    Attributes:
        suspects: uint8 [n,H,W,C], flagged images.
        reference: clean images of the same content, and statistics of them.
        false_positives: the expected share of clean images among the suspects.
        earlier: what earlier rounds found, by kind.
        seed: of whatever is drawn.
    """

    suspects: npt.NDArray[np.uint8]
    reference: Reference
    false_positives: float
    earlier: Mapping[str, "Trigger"]
    seed: int
    _known: dict[Callable[["Comparison"], Any], Any] = dataclasses.field(default_factory=dict, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.suspects.shape[1:]
        return height, width, channels

    @cached_property
    def shares(self) -> Tensor:
        """`histograms` of the suspects, float32 [H*W*C,256]."""
        return histograms(self.suspects)

    def once(self, work: Callable[["Comparison"], T]) -> T:
        """What a function makes of this comparison, worked out once for all kinds that ask for it."""
        if work not in self._known:
            self._known[work] = work(self)
        found: T = self._known[work]
        return found
