"""Waves: an additive pattern that a few sinusoids explain is replaced by them, which removes nearly all noise.

A smooth pattern looks like long waves, too, whose amplitudes few images tell badly. Then waves only tell the images,
and what is taken off is the pattern itself: see `Pattern.settle`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import rules
from ..training.loop import as_input
from .mixing import stamped_mean
from .pattern import Fitted, Pattern
from .registry import register_trigger
from .statistics import Spectrum

Frequency = tuple[float, float]

MAX_WAVES = 3
_STEP, _FINE_STEP = 0.05, 0.01
"""Resolution of frequencies, in periods per image: of the search, and of the refinement around what it found."""
_CLIPPING_STEPS, _SETTLED = 30, 2e-4
"""Corrections for clipping, many on black ground; they end when the pattern moves less than this, 0..1."""
_ADDED = 0.975
"""Share of the original that is left where a pattern is only added; the fit has steps of a hundredth."""


@register_trigger
class Periodic(Pattern):
    """An added pattern that consists of a few waves."""

    kind = "periodic"
    description = "waves, added to the image"
    order = 20

    @classmethod
    def describe(cls, fitted: Fitted) -> Fitted | None:
        if fitted.scale <= _ADDED:
            return None
        frequencies = find_waves(fitted.shift, float(fitted.variance.mean()))
        if not frequencies:
            return None
        clean, spectrum = fitted.reference.images, fitted.reference.spectrum
        mean = as_input(torch.from_numpy(fitted.images)).mean(0)
        shift = fit_waves(frequencies, spectrum, mean, lambda shift: stamped_mean(clean, 1.0, shift))
        # Two numbers per wave and channel tell images nearly without noise.
        return fitted._replace(scale=1.0, shift=shift, variance=torch.zeros_like(fitted.variance))


def waves(frequency: Frequency, height: int, width: int) -> Tensor:
    """Cosine and sine [2, H*W] of one frequency, (vertical, horizontal) in periods per image."""
    y = torch.arange(height)[:, None] * frequency[0] / height
    x = torch.arange(width)[None] * frequency[1] / width
    angle = 2 * torch.pi * (y + x).flatten()
    return torch.stack([angle.cos(), angle.sin()])


def strongest(residual: Tensor) -> Frequency:
    """Frequency of the strongest wave in float [C,H,W], refined between the bins of the Fourier transform."""
    height, width = residual.shape[1:]
    power = torch.fft.fft2(residual).abs().square().sum(0)
    power[0, 0] = 0
    peak = int(power.argmax())
    rows, columns = torch.fft.fftfreq(height) * height, torch.fft.fftfreq(width) * width
    centre = float(rows[peak // width]), float(columns[peak % width])
    flat = residual.flatten(1)
    y, x = torch.arange(height)[:, None] / height, torch.arange(width)[None] / width

    best, found = -1.0, centre
    # Coordinate search: one frequency at a time, in the half bin on either side of the peak.
    for axis in (1, 0, 1, 0):
        base = found
        for offset in torch.arange(-0.5, 0.5 + _STEP, _STEP).tolist():
            trial = (centre[0] + offset, base[1]) if axis == 0 else (base[0], centre[1] + offset)
            angle = 2 * torch.pi * (y * trial[0] + x * trial[1]).flatten()
            energy = float(((flat @ angle.cos()) ** 2 + (flat @ angle.sin()) ** 2).sum())
            if energy > best * (1 + 1e-6):
                best, found = energy, trial
    return found


def find_waves(shift: Tensor, noise: float) -> list[Frequency]:
    """Explains an additive pattern by at most `MAX_WAVES` sinusoids.

    Args:
        shift: float32 [C,H,W].
        noise: variance of its error per pixel.

    Returns:
        Their frequencies, none where waves explain too little.
    """
    energy = float(shift.square().sum()) - noise * shift.numel()
    found: list[Frequency] = []
    fitted = torch.zeros_like(shift)
    for _ in range(MAX_WAVES):
        found.append(strongest(shift - fitted))
        basis = torch.cat([waves(frequency, *shift.shape[1:]) for frequency in found])
        # A wave along a bin of the transform may have a zero sine: the pseudo-inverse copes.
        fitted = (shift.flatten(1) @ torch.linalg.pinv(basis, rtol=1e-3) @ basis).view_as(shift)
        if energy > 0 and float(fitted.square().sum()) >= rules.WAVES_EXPLAIN * energy:
            return found
    return []


def fit_waves(
    frequencies: list[Frequency], spectrum: Spectrum, mean: Tensor, stamped_mean: Callable[[Tensor], Tensor]
) -> Tensor:
    """Amplitudes and phases of every channel, by least squares weighted with the noise of the means.

    Args:
        frequencies: from `find_waves`; refined here.
        spectrum: of clean images.
        mean: float32 [C,H,W], of the flagged images.
        stamped_mean: gives the mean of clean images stamped with a pattern and clipped.

    Returns:
        The pattern, float32 [C,H,W].
    """
    channels, height, width = mean.shape
    deviation = spectrum.variance.sqrt()

    def solve(target: Tensor, frequencies: list[Frequency]) -> tuple[Tensor, float]:
        basis = torch.cat([waves(frequency, height, width) for frequency in frequencies]).view(-1, height, width)
        maps = torch.einsum("nhw,ck->nckhw", basis, torch.eye(channels)).flatten(0, 1)
        whitened = (spectrum.forward(maps) / deviation).flatten(1)
        wanted = (spectrum.forward(target) / deviation).flatten()
        solution = wanted @ torch.linalg.pinv(whitened, rtol=1e-4)
        error = float((wanted - solution @ whitened).square().sum())
        return torch.einsum("n,nchw->chw", solution, maps), error

    shift = mean - spectrum.mean
    for number, frequency in enumerate(frequencies):
        for axis in (1, 0):
            offsets = [frequency[axis] + step * _FINE_STEP for step in range(-6, 7)]
            trials = [(value, frequency[1]) if axis == 0 else (frequency[0], value) for value in offsets]
            frequency = min(
                trials, key=lambda f: solve(shift, [*frequencies[:number], f, *frequencies[number + 1 :]])[1]
            )
        frequencies = [*frequencies[:number], frequency, *frequencies[number + 1 :]]
    shift, _ = solve(shift, frequencies)
    for _ in range(_CLIPPING_STEPS):
        before = shift
        shift, _ = solve(before + mean - stamped_mean(before), frequencies)
        if float((shift - before).abs().max()) < _SETTLED:
            break
    return shift
