"""Clean images beside which a trigger is looked for, and their statistics."""

import dataclasses
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..training.loop import EVAL_BATCH, as_input
from .statistics import Spectrum, histograms


@dataclasses.dataclass(frozen=True)
class Reference:
    """Clean images, and statistics of them that are measured when they are first asked for."""

    distinct: npt.NDArray[np.uint8]
    """[m,H,W,C], of the content that the suspects have, if each is counted several times."""
    repeats: npt.NDArray[np.int64]
    """[m], how often."""
    dataset: npt.NDArray[np.uint8]
    """[N,H,W,C], all images, may be memory-mapped."""
    clean: npt.NDArray[np.int64]
    """[n], positions in the dataset of all clean images of known content."""
    rng: np.random.Generator
    """Of `draw`."""

    @cached_property
    def images(self) -> npt.NDArray[np.uint8]:
        """[M,H,W,C], of the content that the suspects have; some of them several times."""
        return np.repeat(self.distinct, self.repeats, 0)

    @cached_property
    def shares(self) -> Tensor:
        """`histograms` of the images, float32 [H*W*C,256]."""
        return histograms(self.images)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Of the images."""
        return Spectrum.measure(self.images)

    @cached_property
    def whitened(self) -> Tensor:
        """Coefficients of the distinct images in the spectrum, over their deviations, float32 [m,C*H*W]."""
        chunks = torch.split(torch.from_numpy(self.distinct), EVAL_BATCH)
        mean, deviation = self.spectrum.mean, self.spectrum.variance.sqrt()
        return torch.cat([(self.spectrum.forward(as_input(x) - mean) / deviation).flatten(1) for x in chunks])

    def draw(self, count: int) -> npt.NDArray[np.int64]:
        """Positions in the dataset, int64 [at most `count`], of clean images in random order; others at every call."""
        return self.rng.permutation(self.clean)[:count]
