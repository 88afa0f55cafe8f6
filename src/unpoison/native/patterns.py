"""A pattern at full size: what the working copy shows of it, fitted again with the detail that only originals have."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..data.pixels import Pixels
from ..training.loop import as_input
from ..triggers.mixing import fit_shift, stamped_mean
from ..triggers.pattern import Pattern
from ..triggers.periodic import Frequency, Periodic, find_waves, fit_waves, waves
from ..triggers.resizing import resized
from ..triggers.statistics import Spectrum, cosine_transform, histograms, inverse_cosine_transform
from .frames import Size
from .originals import Originals, mean_of, stretched

LEVELS_SIDE = 128
"""Pixels of the longer side at which grey levels are compared. Measured on 150 blended photographs of 400x533, of the
error of doing nothing: .26 at 64, .24 at 128, .23 at 192 with twelve times the work of 64."""
DETAIL_SIDE = 1024
"""The same of the means, which tell the detail; what is finer is left."""
FALSE_FLAGS = 0.02
"""Share of the suspects that may show no pattern."""
BANDS = 40
"""Rings of frequencies, each of which is trusted as far as it exceeds what chance makes of it."""


@dataclasses.dataclass(frozen=True)
class PatternRepair:
    """Takes x' = a x + b off images of any size; see `Repair`."""

    scale: float
    """a."""
    shift: Tensor
    """b, float32 [C,h,w], which is stretched to the image."""
    kind: str
    frequencies: tuple[Frequency, ...] = ()
    """Where b consists of waves, theirs: it is then drawn anew at the size of the image, since stretching blurs it."""

    judges: bool = False
    """See `Repair`: whether the working copy does not show it."""

    def describe(self) -> str:
        """For the report."""
        height, width = self.shift.shape[1:]
        return f"a pattern of kind {self.kind} of {height}x{width} pixels, at the same share of the size"

    def __call__(self, image: Pixels, copy: Pixels) -> Pixels:
        shift = 255 * self._at((image.shape[0], image.shape[1])).permute(1, 2, 0).numpy()
        if self.judges and _strength(image, shift) < 0.5:
            return image
        pixels = (image.astype(np.float32) - shift) / self.scale
        repaired: Pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return repaired

    def _at(self, size: Size) -> Tensor:
        if self.shift.shape[1:] == size:
            return self.shift
        if not self.frequencies:
            return resized(self.shift[None], size)[0]
        drawn, wanted = (
            torch.cat([waves(frequency, *side) for frequency in self.frequencies])
            for side in (tuple(self.shift.shape[1:]), size)
        )
        amplitudes = self.shift.flatten(1) @ torch.linalg.pinv(drawn, rtol=1e-3)
        out: Tensor = (amplitudes @ wanted).view(-1, *size)
        return out


def refit_pattern(pattern: Pattern, originals: Originals) -> PatternRepair:
    """The repair of a pattern that the working copy shows."""
    canvas = _fitting(originals.canvas, DETAIL_SIDE)
    frequencies = find_waves(pattern.shift.cpu(), 0.0) if isinstance(pattern, Periodic) else []
    if frequencies:
        return _waves(frequencies, originals, canvas)
    scale = float(pattern.scale.mean())
    return PatternRepair(scale, _mixed_in(scale, originals, canvas), pattern.kind)


def refit_wave(frequency: Frequency, originals: Originals) -> PatternRepair:
    """The repair of a wave of about this frequency, which the working copy does not show."""
    canvas = _fitting(originals.canvas, DETAIL_SIDE)
    difference = (mean_of(originals.suspects, canvas) - mean_of(originals.others, canvas)).mean(0)
    offsets = np.linspace(-0.5, 0.5, 21)
    energies = [
        [_energy(difference, (frequency[0] + down, frequency[1] + across)) for across in offsets] for down in offsets
    ]
    best = np.unravel_index(np.argmax(energies), (len(offsets), len(offsets)))
    refined = frequency[0] + float(offsets[best[0]]), frequency[1] + float(offsets[best[1]])
    return dataclasses.replace(_waves([refined], originals, canvas), judges=True)


def _strength(image: Pixels, shift: npt.NDArray[np.float32]) -> float:
    """How strongly an image shows a fine pattern that may be added to it, both [H,W,C] in grey levels: 1 where it is,
    and about 0 where it is not, since images have little of one frequency."""
    height, width = image.shape[:2]
    weighted = shift * (np.hanning(height)[:, None] * np.hanning(width))[..., None]
    return float((weighted * image).sum() / max((weighted * shift).sum(), 1e-9))


def _energy(difference: Tensor, frequency: Frequency) -> float:
    """Of one wave in an image [H,W], whose edges count for nothing."""
    height, width = difference.shape
    down, across = (
        np.hanning(side) * np.exp(-2j * np.pi * value * np.arange(side) / side)
        for value, side in zip(frequency, (height, width), strict=True)
    )
    return float(np.abs(down @ difference.numpy() @ across))


def _waves(frequencies: list[Frequency], originals: Originals, canvas: Size) -> PatternRepair:
    """The repair of waves of known frequencies: their amplitudes are those of all pixels."""
    others = stretched(originals.others, canvas)
    mean = mean_of(originals.suspects, canvas)
    shift = fit_waves(frequencies, Spectrum.measure(others), mean, lambda shift: stamped_mean(others, 1.0, shift))
    return PatternRepair(1.0, shift, Periodic.kind, tuple(frequencies))


def _mixed_in(scale: float, originals: Originals, canvas: Size) -> Tensor:
    """b of a blend: by grey levels as far as they are compared, and beyond by the means."""
    size = _fitting(canvas, LEVELS_SIDE)
    suspects, others = (stretched(images, size) for images in originals)
    shift, _ = fit_shift(
        suspects, others, histograms(suspects), histograms(others), Spectrum.measure(others), scale, FALSE_FLAGS
    )
    return shift if size == canvas else _with_detail(shift, scale, originals, canvas)


def _with_detail(shift: Tensor, scale: float, originals: Originals, canvas: Size) -> Tensor:
    """A pattern [C,h,w] at the size of a canvas, with what the means of the originals say of its finer frequencies."""
    usual = mean_of(originals.others, canvas)
    detail = cosine_transform(mean_of(originals.suspects, canvas) - scale * usual)
    ones = (as_input(torch.from_numpy(stretched([image], canvas)))[0] for image in originals.others)
    power = sum((cosine_transform(one - usual).square() for one in ones), torch.zeros_like(usual))
    count = len(originals.others)
    noise = scale**2 * power / count * (1 / count + 1 / len(originals.suspects))
    rows, columns = (torch.arange(side) / side for side in canvas)
    ring = ((rows[:, None] ** 2 + columns**2).sqrt() * BANDS).round().long().flatten()
    shares = []
    for seen, chance in zip(detail.square().flatten(1), noise.flatten(1), strict=True):
        zeros = torch.zeros(2 * BANDS)
        total, expected = zeros.index_add(0, ring, seen), zeros.index_add(0, ring, chance)
        shares.append((1 - expected / total.clamp_min(1e-12)).clamp_min(0)[ring])
    # Wiener's filter.
    detail = detail * torch.stack(shares).view_as(detail)
    height, width = shift.shape[1:]
    detail[:, :height, :width] = cosine_transform(resized(shift[None], canvas)[0])[:, :height, :width]
    return inverse_cosine_transform(detail)


def _fitting(size: Size, side: int) -> Size:
    """A size scaled down until its longer side is at most so many pixels."""
    factor = min(1.0, side / max(size))
    return round(size[0] * factor), round(size[1] * factor)
