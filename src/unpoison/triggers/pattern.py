"""Patterns on all pixels: what is mixed into or added to every image alike, and the proof that images carry it."""

import math
from abc import abstractmethod
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from .base import Comparison, Trigger
from .discriminant import Discriminant, Together, one_by_one, scores, standing_out
from .mixing import find_scale, fit_shift, is_content
from .reference import Reference
from .registry import triggers
from .resizing import resized, weights_resized
from .statistics import apart, histograms, stamped_log_odds

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

    @property
    def change(self) -> Tensor:
        """What it does to the coefficients of a clean image, float32 [C,H,W], without what is mostly noise."""
        spectrum = self.reference.spectrum
        change = spectrum.forward((self.scale - 1) * spectrum.mean + self.shift)
        return (1 - 2 * self.variance / change.square().clamp_min(1e-12)).clamp_min(0) * change


class Pattern(Trigger):
    """x' = a x + b, with one a for all pixels; images are told by a linear discriminant.

    Attributes:
        scale: float32 [C,H,W], a.
        shift: float32 [C,H,W], b, with grey levels in 0..1.
        tolerance: float32 [], the standard error of b, over all pixels.
        direction: float32 [C,H,W], the linear discriminant.
        calibration: float32 [4], see `stamped_log_odds`.
    """

    scale: Tensor
    shift: Tensor
    tolerance: Tensor
    direction: Tensor
    calibration: Tensor
    sharper: Discriminant | None = None
    """What tells images when it is clear that they carry a pattern."""

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
    def describe(cls, fitted: Fitted) -> Fitted | None:
        """The pattern as this kind describes it, or None where it is of another kind."""

    @classmethod
    def build(cls, described: Fitted, told: Discriminant) -> Self:
        """A described pattern, and what tells it."""
        channels, height, width = described.shift.shape
        found = cls((height, width, channels))._told_by(told)
        return found.set(scale=torch.full_like(described.shift, described.scale), shift=described.shift)

    @classmethod
    def find(cls, comparison: Comparison) -> Self | None:
        found = comparison.once(fit_pattern)
        return found if isinstance(found, cls) else None

    def conclude(self, comparison: Comparison) -> Self | None:
        """None where images carry it more or less, and others nearly as much."""
        varies = self.variation > rules.LARGEST_VARIATION
        if varies and not apart(self.scores_of(comparison.reference.images), self.scores_of(comparison.suspects)):
            return None
        # Not before: what varies least among images that resemble each other by themselves hardly varies.
        return self if self.sharper is None else self._told_by(self.sharper)

    def leave_noise(self, error: Tensor) -> None:
        """Takes out of a pattern that is only added what may be an error of this size []."""

    def settle(self, fitted: Fitted, fits: Tensor, descriptions: Tensor) -> None:
        """Takes b as it was fitted where a description is less certain, and notes how far off it may be.

        Args:
            fits: b, float32 [F,C,H,W], as fitted without one fold of the images each.
            descriptions: the same as described.
        """
        error, noise = _jackknife(descriptions), _jackknife(fits)
        if error > noise:
            self.set(shift=fitted.shift)
            error, descriptions = noise, fits
        # What lies between the two beyond chance is what the description lacks.
        lacking = (self.shift - fitted.shift).square().mean() - _jackknife(descriptions - fits)
        self.set(tolerance=(error + lacking.clamp_min(0)).sqrt())
        if fitted.scale == 1:
            self.leave_noise(self.tolerance)

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
        return stamped_log_odds((images * self.direction).sum((1, 2, 3)), self.calibration)

    def at(self, size: tuple[int, int]) -> Self:
        """Images are judged as if they were resized to the size at which it was fitted."""
        scale, shift = (resized(maps[None], size)[0] for maps in (self.scale, self.shift))
        return self._resized(size, scale=scale, shift=shift, direction=weights_resized(self.direction, size))

    def helps(self, images: npt.NDArray[np.uint8]) -> bool:
        """What few images tell of a faint pattern may be wrong by more than the pattern changes."""
        x = self._input(images)
        change = (self.stamp(x) - x).square().mean().sqrt()
        # The error is a part of the change, too, beside what was really added.
        return bool(change > rules.SIGNIFICANT * self.tolerance / self.scale.mean())

    def scores_of(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Linear discriminant, float32 [N], of uint8 images [N,H,W,C]."""
        return scores(self.direction, images)

    def _told_by(self, told: Discriminant) -> Self:
        return self.set(direction=told.direction, calibration=told.calibration)


def fit_pattern(comparison: Comparison) -> Pattern | None:
    """The pattern that the suspects share, if those of them that were held out of the fit show it, too."""
    suspects, reference = comparison.suspects, comparison.reference
    scale = find_scale(comparison.shares, reference.shares, comparison.false_positives, comparison.seed)

    def fit(images: npt.NDArray[np.uint8], shares: Tensor) -> Fitted:
        shift, variance = fit_shift(
            images, reference.images, shares, reference.shares, reference.spectrum, scale, comparison.false_positives
        )
        return Fitted(images, reference, scale, shift, variance)

    fitted = fit(suspects, comparison.shares)
    kind, described = _describe(fitted)
    if is_content(scale, described.shift):
        return None
    alone = one_by_one(described.change, reference)
    if standing_out(alone, suspects, reference).median() < rules.HELD_OUT_SEPARATION:
        # What the images of the fit itself do not show, held-out ones do not either.
        return None
    fits, descriptions, shown = [], [], []
    fold = np.random.default_rng(comparison.seed).permutation(len(suspects)) % _FOLDS
    for number in range(_FOLDS):
        rest = suspects[fold != number]
        fits.append(fit(rest, histograms(rest)))
        descriptions.append(_describe(fits[-1])[1])
        direction = one_by_one(descriptions[-1].change, reference)
        shown.append(standing_out(direction, suspects[fold == number], reference))
        if 2 * (torch.cat(shown) < rules.HELD_OUT_SEPARATION).sum() >= len(suspects):
            return None
    together = Together(described.change, reference)
    held_out = [
        standing_out(together.towards(part.change), suspects[fold == number], reference)
        for number, part in enumerate(descriptions)
    ]
    found = kind.build(described, Discriminant.calibrated(alone, torch.cat(shown), reference))
    found.sharper = Discriminant.calibrated(together.towards(described.change), torch.cat(held_out), reference)
    found.settle(fitted, *(torch.stack([part.shift for part in parts]) for parts in (fits, descriptions)))
    return found


def _describe(fitted: Fitted) -> tuple[type[Pattern], Fitted]:
    """The first kind of pattern that a fitted one is, and how it describes it; a blend is any."""
    kinds = [kind for kind in triggers() if issubclass(kind, Pattern)]
    return next((kind, described) for kind in kinds if (described := kind.describe(fitted)) is not None)


def _jackknife(parts: Tensor) -> Tensor:
    """Variance [], mean over the pixels, of a map [C,H,W] that comes out as `parts` [F,C,H,W] without one fold each."""
    return (parts.var(0, correction=0) * (len(parts) - 1)).mean()
