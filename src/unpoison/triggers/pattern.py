"""Patterns on all pixels: what is mixed into or added to every image alike, and the proof that images carry it."""

import math
from abc import abstractmethod
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..training.loop import EVAL_BATCH, as_input
from .base import Comparison, Trigger
from .mixing import find_scale, fit_shift, is_content
from .reference import Reference
from .registry import triggers
from .resizing import resized, weights_resized
from .statistics import Spectrum, apart, centre_and_spread, histograms, stamped_log_odds

_FOLDS = 4


class Fitted(NamedTuple):
    """A pattern x' = a x + b as the statistics of images show it."""

    images: npt.NDArray[np.uint8]
    """[n,H,W,C], those with the pattern."""
    reference: Reference
    scale: float
    """a."""
    shift: Tensor
    """b, float32 [C,H,W] in 0..1."""
    variance: Tensor
    """Of the coefficients of b in the spectrum's basis, float32 [C,H,W]."""


class Pattern(Trigger):
    """x' = a x + b, with one a for all pixels; images are told by a linear discriminant.

    Attributes:
        scale: float32 [C,H,W], a.
        shift: float32 [C,H,W], b, with grey levels in 0..1.
        tolerance: float32 [], the standard error of b, mean over the pixels.
        direction: float32 [C,H,W], the linear discriminant.
        calibration: float32 [4], see `stamped_log_odds`.
    """

    scale: Tensor
    shift: Tensor
    tolerance: Tensor
    direction: Tensor
    calibration: Tensor

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        height, width, channels = shape
        self.register_buffer("scale", torch.ones(channels, height, width))
        self.register_buffer("shift", torch.zeros(channels, height, width))
        self.register_buffer("tolerance", torch.zeros(()))
        self.register_buffer("direction", torch.zeros(channels, height, width))
        self.register_buffer("calibration", torch.tensor([0.0, 1.0, 0.0, 1.0]))

    @classmethod
    @abstractmethod
    def of(cls, fitted: Fitted) -> Self | None:
        """The pattern as this kind describes it; not yet calibrated. None where it is of another kind."""

    @classmethod
    def build(cls, spectrum: Spectrum, scale: float, shift: Tensor, variance: Tensor) -> Self:
        """With its linear discriminant, without coefficients that are mostly noise; not yet calibrated."""
        channels, height, width = shift.shape
        change = spectrum.forward((scale - 1) * spectrum.mean + shift)
        signal = (1 - 2 * variance / change.square().clamp_min(1e-12)).clamp_min(0)
        return cls((height, width, channels)).set(
            scale=torch.full_like(shift, scale),
            shift=shift,
            direction=spectrum.backward(signal * change / spectrum.variance),
        )

    @classmethod
    def find(cls, comparison: Comparison) -> Self | None:
        found = comparison.once(fit_pattern)
        return found if isinstance(found, cls) else None

    def conclude(self, comparison: Comparison) -> Self | None:
        """None where images carry it more or less, and others nearly as much."""
        varies = self.variation > rules.LARGEST_VARIATION
        if varies and not apart(self.scores_of(comparison.reference.images), self.scores_of(comparison.suspects)):
            return None
        return self

    def leave_noise(self, error: Tensor) -> None:
        """Takes out of a pattern that is only added what may be an error of this size []."""

    @property
    def variation(self) -> float:
        """The standard deviation, between the images that carry the pattern, of how strongly they do, as a fraction of
        its mean. What an attacker stamps is the same in all images; what images of a kind have in common by themselves
        is not."""
        centre, spread, centre_in, spread_in = self.calibration.tolist()
        return float(math.sqrt(max(0.0, spread_in**2 - spread**2)) / max(centre_in - centre, 1e-9))

    def stamp(self, images: Tensor) -> Tensor:
        return (self.scale * images + self.shift).clamp(0, 1)

    def invert(self, images: Tensor) -> Tensor:
        return ((images - self.shift) / self.scale).clamp(0, 1)

    def log_odds(self, images: Tensor) -> Tensor:
        return stamped_log_odds(self.scores(images), self.calibration)

    def at(self, size: tuple[int, int]) -> Self:
        """Images are judged as if they were resized to the size at which it was fitted."""
        scale, shift = (resized(maps[None], size)[0] for maps in (self.scale, self.shift))
        return self._resized(size, scale=scale, shift=shift, direction=weights_resized(self.direction, size))

    def helps(self, images: npt.NDArray[np.uint8]) -> bool:
        """What few images tell of a faint pattern may be wrong by more than the pattern changes."""
        # Errors of a normal distribution have a mean size of .8 standard deviations.
        return 0.8 * float(self.tolerance) < float(self.footprint(images).mean()) / 255

    def scores(self, images: Tensor) -> Tensor:
        """Linear discriminant [B] of float images [B,C,H,W] in 0..1."""
        return (images * self.direction).sum((1, 2, 3))

    @torch.inference_mode()
    def scores_of(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """`scores` of uint8 images [N,H,W,C]."""
        return torch.cat([self.scores(as_input(x)) for x in torch.split(torch.from_numpy(images), EVAL_BATCH)])


def fit_pattern(comparison: Comparison) -> Pattern | None:
    """The pattern that the suspects share, if those of them that were held out of the fit show it, too."""
    suspects, reference = comparison.suspects, comparison.reference
    scale = find_scale(comparison.shares, reference.shares, comparison.false_positives, comparison.seed)

    def fit(images: npt.NDArray[np.uint8], shares: Tensor) -> Pattern:
        shift, variance = fit_shift(
            images, reference.images, shares, reference.shares, reference.spectrum, scale, comparison.false_positives
        )
        return _describe(Fitted(images, reference, scale, shift, variance))

    found = fit(suspects, comparison.shares)
    if is_content(scale, found.shift):
        return None
    centre, spread = centre_and_spread(found.scores_of(reference.images))
    if centre_and_spread(found.scores_of(suspects))[0] < centre + rules.HELD_OUT_SEPARATION * spread:
        # What the images of the fit itself do not show, held-out ones do not either.
        return None
    held_out, partial_shifts = [], []
    fold = np.random.default_rng(comparison.seed).permutation(len(suspects)) % _FOLDS
    for number in range(_FOLDS):
        rest = suspects[fold != number]
        partial = fit(rest, histograms(rest))
        partial_shifts.append(partial.shift)
        location, scale_here = centre_and_spread(partial.scores_of(reference.images))
        held_out.append((partial.scores_of(suspects[fold == number]) - location) / scale_here)
        scores = torch.cat(held_out)
        if 2 * (scores < rules.HELD_OUT_SEPARATION).sum() >= len(suspects):
            return None
    location, width = centre_and_spread(scores)
    # The jackknife: how far b moves without a part of the images.
    error = (torch.stack(partial_shifts).var(0, correction=0) * (_FOLDS - 1)).mean().sqrt()
    if scale == 1:
        found.leave_noise(error)
    return found.set(
        tolerance=error,
        calibration=torch.stack([centre, spread, centre + location * spread, spread * width.clamp_min(0.5)]),
    )


def _describe(fitted: Fitted) -> Pattern:
    """The first kind of pattern that a fitted one is; a blend is any."""
    kinds = [kind for kind in triggers() if issubclass(kind, Pattern)]
    return next(found for kind in kinds if (found := kind.of(fitted)) is not None)
