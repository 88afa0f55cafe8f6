"""Clean images beside which a trigger is looked for, and their statistics."""

import dataclasses
from functools import cached_property

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .statistics import Spectrum, histograms


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
