"""Fits x' = a x + b with one opacity 1 - a: b from the distributions of every pixel and from whitened means.

Saturated pixels make the distribution of a pixel far from normal: in x' the peaks at black and white sit at b and
at a + b. The likelihood of D_p's grey levels under the stretched and shifted distribution of clean pixels therefore
locates a and b much better than mean and variance do. Fine structure is taken from the mean instead, in the basis
of the cosine transform, where it stands far above the noise.
"""

import functools

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import rules
from ..training.loop import EVAL_BATCH, as_input
from .statistics import LEVELS, Spectrum

MAX_SHIFT = 64
"""Grey levels by which b may leave the range of an opaque pattern, 0..255 (1 - a): additive patterns do."""
_PIXELS, _COARSE_PIXELS = 1024, 256
_IN_CACHE = 100_000
_CLIPPING_STEPS = 4


def stretched(shares: Tensor, scale: float) -> tuple[Tensor, int]:
    """The distribution of scale · pixel, blurred by one level, and the position of level 0 in it."""
    pad = 2
    cumulative = F.pad(shares.cumsum(1), (1, 0))
    edges = ((torch.arange(-pad, int(255 * scale) + 2 + pad) - 0.5) / scale + 0.5).clamp(0, LEVELS)
    left = edges.floor().long().clamp(max=LEVELS - 1)
    part = edges - left
    at_edges = cumulative[:, left] * (1 - part) + cumulative[:, left + 1] * part
    blur = torch.tensor([[[0.25, 0.5, 0.25]]])
    return F.conv1d(at_edges.diff(dim=1)[:, None], blur, padding=1)[:, 0], pad


def shift_likelihood(flagged: Tensor, clean: Tensor, scale: float, false_positives: float) -> tuple[Tensor, Tensor]:
    """Mean log-likelihood [pixels,S] of D_p's grey levels for every shift, and the S shifts in grey levels.

    `false_positives` is the expected share of clean images in D_p. Too large a share blurs the peaks at black and
    white and biases a towards smaller values.
    """
    density, zero = stretched((1 - false_positives) * clean, scale)
    shifts = torch.arange(-MAX_SHIFT, round(255 * (1 - scale)) + MAX_SHIFT + 1)
    # Few images show few levels.
    weights, levels = flagged.topk(int((flagged > 0).sum(1).max()), sorted=False)
    background = false_positives * (0.5 * clean + 0.5 / LEVELS).gather(1, levels)
    # From shift to shift a level meets the next lower value of the density: a run of it. What leaves the range is
    # clipped to its ends, which meet sums.
    size, count = density.shape[1], len(shifts)
    met = LEVELS - 1 + zero - int(shifts[0]) - torch.arange(LEVELS - 1 + count)
    sums = F.pad(density.cumsum(1), (1, 0))
    black = sums[:, (1 + zero - shifts).clamp(0, size)]
    white = sums[:, -1:] - sums[:, (LEVELS - 1 + zero - shifts).clamp(0, size)]
    moved = density[:, met.clamp(0, size - 1)] * ((met >= 0) & (met < size))
    runs = torch.cat([moved, black, white], 1).unfold(1, count, 1)
    starts = LEVELS - 1 - levels
    starts[levels == 0], starts[levels == LEVELS - 1] = moved.shape[1], moved.shape[1] + count
    likelihood = torch.empty(len(flagged), count)
    for rows in torch.split(torch.arange(len(flagged)), max(1, _IN_CACHE // (levels.shape[1] * count))):
        odds = (runs[rows[:, None], starts[rows]] + background[rows, :, None]).log_()
        likelihood[rows] = (weights[rows, None] @ odds)[:, 0]
    return likelihood, shifts


def find_scale(flagged: Tensor, clean: Tensor, false_positives: float, seed: int) -> float:
    """The common factor a in MIN_SCALE..1 with the largest likelihood over a sample of pixels."""
    chosen = torch.randperm(len(flagged), generator=torch.Generator().manual_seed(seed))[:_PIXELS]
    flagged, clean = flagged[chosen], clean[chosen]

    @functools.cache
    def fit(scale: float, pixels: int = _PIXELS) -> float:
        likelihood, _ = shift_likelihood(flagged[:pixels], clean[:pixels], scale, false_positives)
        return float(likelihood.max(1).values.mean())

    coarse = max(np.arange(1.0, rules.LEAST_SCALE - 0.01, -0.05).tolist(), key=lambda scale: fit(scale, _COARSE_PIXELS))
    fine = max([s for s in np.arange(coarse - 0.04, coarse + 0.041, 0.01).tolist() if s <= 1], key=fit)
    return fine if fit(fine) > fit(1.0) + rules.BLEND_GAIN else 1.0


def fit_shift(
    images: npt.NDArray[np.uint8],
    reference: npt.NDArray[np.uint8],
    flagged: Tensor,
    clean: Tensor,
    spectrum: Spectrum,
    scale: float,
    false_positives: float,
) -> tuple[Tensor, Tensor]:
    """Estimates b for a given a.

    Args:
        images: uint8 [n,H,W,C], D_p.
        reference: uint8 [M,H,W,C], clean images of D_p's content.
        flagged, clean: float32 [H*W*C,256], histograms of D_p and of clean images.
        spectrum: of clean images.

    Returns:
        b float32 [C,H,W] in 0..1, and the variance [C,H,W] of its coefficients in the spectrum's basis.
    """
    channels, height, width = spectrum.mean.shape
    likelihood, shifts = shift_likelihood(flagged, clean, scale, false_positives)
    posterior = torch.softmax(likelihood * len(images), 1)
    levels = (posterior * shifts).sum(1)
    variance = (posterior * (shifts - levels[:, None]).square()).sum(1) + 1 / 12
    from_levels = (levels / 255).view(height, width, channels).permute(2, 0, 1)
    # Neighbouring pixels see the same images, so that their errors are alike: twice the variance is nearer the truth.
    levels_variance = 2 * variance.mean() / 255**2
    means_variance = scale**2 * spectrum.variance / len(images)
    total = 1 / levels_variance + 1 / means_variance
    mean = as_input(torch.from_numpy(images)).mean(0)
    shift = from_levels
    for _ in range(_CLIPPING_STEPS):
        # Clipping takes part of the shift away from the mean: compare with clean images stamped and clipped alike.
        from_means = shift + mean - stamped_mean(reference, scale, shift)
        fused = spectrum.forward(from_levels) / levels_variance + spectrum.forward(from_means) / means_variance
        shift = spectrum.backward(fused / total)
    return shift, 1 / total


def stamped_mean(reference: npt.NDArray[np.uint8], scale: float, shift: Tensor) -> Tensor:
    """Mean [C,H,W] of clean images with the pattern on them, clipped as stored images are."""
    chunks = torch.split(torch.from_numpy(reference), EVAL_BATCH)
    return torch.stack([(as_input(x) * scale + shift).clamp(0, 1).sum(0) for x in chunks]).sum(0) / len(reference)


def is_content(scale: float, shift: Tensor) -> bool:
    """Whether b [C,H,W] is too strong for a pattern that was mixed in or added: the images look alike by themselves."""
    levels = 255 * shift
    excess = torch.maximum(-levels, levels - 255 * (1 - scale))
    return float(excess.quantile(rules.MOST_OF_PATTERN)) > rules.MOST_EXCESS
