"""Statistics that several kinds of triggers share: histograms, the cosine transform, content matching, scores."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..training.loop import as_input

LEVELS = 256
_CHUNK = 512
"""Pixels whose histograms are counted at once: bounds the memory."""
_BATCH = 256
_SMALL = 1024
"""Values of an image up to which principal components are cheap."""
_TAILS = 4.0
"""Degrees of freedom of the Student t distribution that describes discriminant scores: photographs have heavy
tails."""
_PRECISIONS = (-10, 1.5, 47)
"""Powers of ten, first and last, and how many: those of the normal distributions that make up Student's t."""


def content_matched(
    clean_probabilities: npt.NDArray[np.float32], poisoned: npt.NDArray[np.bool_], count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Draws clean images whose classes are distributed as those of the poisoned images.

    Poison that carries one label may show all other classes, so the flagged-clean images are drawn by importance
    weights: the share of their probable classes in D_p over the share in D_c.

    Args:
        clean_probabilities: float32 [N,K], softmax of a classifier trained on D_c.
        poisoned: bool [N], the members of D_p.
        count: M, images to draw.

    Returns:
        int64 [M] positions in D_c, drawn with replacement.
    """
    clean = np.flatnonzero(~poisoned)
    ratio = clean_probabilities[poisoned].mean(0) / np.maximum(clean_probabilities[clean].mean(0), 1e-6)
    weights = (clean_probabilities[clean] * ratio).sum(1).astype(np.float64) + 1e-12
    rng = np.random.default_rng(seed)
    return rng.choice(clean, count, p=weights / weights.sum())


def histograms(images: npt.NDArray[np.uint8]) -> Tensor:
    """Share of every grey level at every pixel of uint8 [N,H,W,C], as float32 [H*W*C, 256]."""
    flat = torch.from_numpy(images.reshape(len(images), -1))
    counts = []
    for columns in torch.split(flat, _CHUNK, 1):
        index = columns.long() + LEVELS * torch.arange(columns.shape[1])
        counts.append(torch.bincount(index.flatten(), minlength=LEVELS * columns.shape[1]).view(-1, LEVELS))
    return torch.cat(counts).float() / len(images)


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """A basis in which the values of clean images are nearly uncorrelated.

    Principal components for small images; else DCT in space and principal colours at each frequency. Colours
    matter: lossy formats leave next to nothing of fine colour detail, so a trigger shows there.
    """

    mean: Tensor
    """float32 [C,H,W]."""
    basis: Tensor
    """float32 [C*H*W, C*H*W], columns are components; or [H,W,C,C], columns are colours."""
    variance: Tensor
    """float32 [C,H,W], of the coefficients."""

    @classmethod
    def measure(cls, images: npt.NDArray[np.uint8]) -> "Spectrum":
        """Of uint8 images [M,H,W,C]."""
        chunks = torch.split(torch.from_numpy(images), _BATCH)
        mean = torch.stack([as_input(chunk).sum(0) for chunk in chunks]).sum(0) / len(images)
        small = mean.numel() <= _SMALL
        covariance = torch.zeros(())
        for chunk in chunks:
            x = as_input(chunk) - mean
            if small:
                covariance = covariance + x.flatten(1).T @ x.flatten(1)
            else:
                coefficients = cosine_transform(x)
                covariance = covariance + torch.einsum("bihw,bjhw->hwij", coefficients, coefficients)
        variance, basis = torch.linalg.eigh(covariance / len(images))
        variance = variance.view(mean.shape) if small else variance.permute(2, 0, 1)
        # Rounding alone spreads a grey level by 1/12.
        return cls(mean, basis, variance.clamp_min(0) + 1 / 12 / 255**2)

    def forward(self, images: Tensor) -> Tensor:
        """Coefficients of float [...,C,H,W], of the same shape."""
        if self.basis.ndim == 2:
            return (images.flatten(-3) @ self.basis).view(images.shape)
        out: Tensor = torch.einsum("...ihw,hwij->...jhw", cosine_transform(images), self.basis)
        return out

    def backward(self, coefficients: Tensor) -> Tensor:
        """The inverse of `forward`."""
        if self.basis.ndim == 2:
            return (coefficients.flatten(-3) @ self.basis.T).view(coefficients.shape)
        return inverse_cosine_transform(torch.einsum("...jhw,hwij->...ihw", coefficients, self.basis))


def centre_and_spread(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Median, and the standard deviation that the median absolute deviation stands for."""
    median = scores.median()
    return median, 1.4826 * (scores - median).abs().median().clamp_min(1e-9)


def apart(clean: Tensor, shown: Tensor) -> bool:
    """Whether hardly any image lies between those that show a trigger and those that do not, by a score [n] of each:
    where images resemble each other by themselves, they do so more or less."""
    if not len(clean) or not len(shown):
        return True
    centre = clean.median()
    return bool(shown.quantile(0.1) - centre >= rules.GAP * (clean.quantile(0.99) - centre))


def score_log_odds(score: Tensor, calibration: Tensor) -> Tensor:
    """Log-likelihood ratio of scores.

    Args:
        score: float [B].
        calibration: float [4], location and scale of the scores of clean images, then of poisoned ones.
    """
    clean, clean_scale, poisoned, poisoned_scale = calibration
    return _student(score, poisoned, poisoned_scale) - _student(score, clean, clean_scale)


def stamped_log_odds(score: Tensor, calibration: Tensor) -> Tensor:
    """`score_log_odds` where a poisoned image has the score of a clean one, and what the trigger adds, which varies
    normally: what lies far from both is not taken for poison because poison spreads more."""
    clean, clean_scale, poisoned, poisoned_scale = calibration
    scale = torch.minimum(clean_scale, poisoned_scale)
    varying = poisoned_scale.square() - scale.square()
    # Student's t is a mixture of normal distributions; what varies adds its variance to that of each.
    precision = torch.logspace(*_PRECISIONS).to(score)
    weight = (_TAILS / 2 * (precision.log() - precision) + precision.log() / 2).log_softmax(0)
    variance = scale.square() / precision + varying
    distance = (score - poisoned).square()[:, None]
    stamped = (weight - (precision * variance).log() / 2 - distance / variance / 2).logsumexp(1)
    odds: Tensor = stamped - _student(score, clean, clean_scale)
    return odds


def _student(score: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    """Log-density of Student's t, up to a constant."""
    return -scale.log() - (_TAILS + 1) / 2 * (1 + ((score - location) / scale).square() / _TAILS).log()


def cosine_matrix(size: int) -> Tensor:
    """The orthonormal DCT-II [size, size], which nearly decorrelates photographs."""
    frequency, position = torch.arange(size)[:, None], torch.arange(size)[None]
    matrix: Tensor = torch.cos(torch.pi * (position + 0.5) * frequency / size) * (2 / size) ** 0.5
    matrix[0] /= 2**0.5
    return matrix


def cosine_transform(images: Tensor) -> Tensor:
    """DCT over the last two dimensions."""
    rows, columns = cosine_matrix(images.shape[-2]), cosine_matrix(images.shape[-1])
    out: Tensor = rows.to(images) @ images @ columns.to(images).T
    return out


def inverse_cosine_transform(coefficients: Tensor) -> Tensor:
    rows, columns = cosine_matrix(coefficients.shape[-2]), cosine_matrix(coefficients.shape[-1])
    out: Tensor = rows.to(coefficients).T @ coefficients @ columns.to(coefficients)
    return out
