"""Waves that are too fine for the working copy: frequencies at which the originals of a class agree."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from .. import rules
from ..data.pixels import Pixels, resize, with_channels
from .frames import Size

SIDE = 512
"""Pixels of the longer side at most of the images that are transformed; no finer wave is found."""
AROUND = 9
"""Frequencies, in a square, among which one stands out or not."""
PERMUTED = 10
"""Times that the labels are permuted, to see how far frequencies stand out by chance."""


class Peak(NamedTuple):
    """A wave that images of a class share."""

    label: int
    frequency: tuple[int, int]
    """Vertical and horizontal, in periods per image."""
    clarity: float
    """How far it stands out, times what was to be expected at most by chance."""


class Spectra:
    """The frequencies of images that are stretched to one size.

    Args:
        canvas: (H, W), that size.
        copy: (h, w) of the working copy, in which the other frequencies can be seen.
    """

    def __init__(self, canvas: Size, copy: Size) -> None:
        factor = min(1.0, SIDE / max(canvas))
        self.size = round(canvas[0] * factor), round(canvas[1] * factor)
        # Without it the edges of an image would be a wave of every frequency.
        self._taper = np.hanning(self.size[0])[:, None] * np.hanning(self.size[1])
        rows = np.abs(scipy.fft.fftfreq(self.size[0]) * self.size[0])[:, None]
        columns = np.arange(self.size[1] // 2 + 1)[None]
        self._fine = (rows > copy[0] / 2) | (columns > copy[1] / 2)
        # Half of the frequencies without a horizontal part are the other half.
        self._fine[self.size[0] // 2 + 1 :, 0] = False

    @property
    def count(self) -> int:
        """Of the frequencies that only originals show."""
        return int(self._fine.sum())

    def of(self, image: Pixels) -> npt.NDArray[np.complex64]:
        """Its coefficients at these frequencies, complex64 [count], over the size of those around each."""
        grey = with_channels(resize(image, *self.size), 1)[..., 0].astype(np.float32)
        found = scipy.fft.rfft2((grey - grey.mean()) * self._taper)
        power = np.abs(found) ** 2
        around = scipy.ndimage.uniform_filter(power, AROUND, mode="wrap") * AROUND**2 - power
        usual = np.sqrt(np.maximum(around / (AROUND**2 - 1), 1e-6))
        scaled: npt.NDArray[np.complex64] = (found / usual)[self._fine].astype(np.complex64)
        return scaled

    def at(self, image: Pixels, frequency: tuple[int, int]) -> complex:
        """The coefficient of one frequency, as of `of`, at a fraction of its cost."""
        grey = with_channels(resize(image, *self.size), 1)[..., 0].astype(np.float32)
        reach = np.arange(-(AROUND // 2), AROUND // 2 + 1)
        down, across = (
            np.exp(-2j * np.pi * np.outer(wanted + reach, np.arange(side)) / side)
            for wanted, side in zip(frequency, self.size, strict=True)
        )
        found = down @ ((grey - grey.mean()) * self._taper) @ across.T
        middle = found[AROUND // 2, AROUND // 2]
        power = np.abs(found) ** 2
        usual = np.sqrt(max((power.sum() - np.abs(middle) ** 2) / (AROUND**2 - 1), 1e-6))
        return complex(middle / usual)

    def frequency(self, place: int) -> tuple[int, int]:
        """Of a coefficient, vertical and horizontal in periods per image."""
        row, column = np.argwhere(self._fine)[place].tolist()
        return row - self.size[0] if row > self.size[0] // 2 else row, column


def find_waves(spectra: Spectra, images: Iterable[Pixels], labels: npt.NDArray[np.int64], seed: int) -> list[Peak]:
    """The clearest wave of every class in which some frequency stands out of the other classes.

    A wave that was stamped has one phase in all images, and natural images have any. How far the mean of a class may
    differ from that of the others by chance is seen with permuted labels.

    Args:
        labels: int64 [N], of the images.
    """
    coefficients = np.stack([spectra.of(image) for image in images])
    spread = (np.abs(coefficients) ** 2).mean(0)
    classes = [label for label in np.unique(labels).tolist() if (labels == label).sum() >= rules.LEAST_FLAGGED]
    if len(classes) < 2:
        return []

    def contrasts(assigned: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Of each class and frequency, [classes, count]; exponentially distributed by chance."""
        total, found = coefficients.sum(0), []
        for label in classes:
            inside = assigned == label
            n = int(inside.sum())
            part = coefficients[inside].sum(0)
            difference = part / n - (total - part) / (len(assigned) - n)
            found.append(np.abs(difference) ** 2 / spread / (1 / n + 1 / (len(assigned) - n)))
        return np.stack(found)

    rng = np.random.default_rng(seed)
    looks = len(classes) * spectra.count
    by_chance = max(float(contrasts(rng.permutation(labels)).max()) for _ in range(PERMUTED))
    # Largest of exponential values: what permutations reach beyond that is how much heavier the tails are.
    limit = max(1.0, by_chance / np.log(looks * PERMUTED)) * np.log(looks / rules.FALSE_ALARMS)
    seen = contrasts(labels)
    peaks = [
        Peak(label, spectra.frequency(int(row.argmax())), float(row.max() / limit))
        for label, row in zip(classes, seen, strict=True)
    ]
    return sorted((peak for peak in peaks if peak.clarity > 1), key=lambda peak: -peak.clarity)


def wave_odds(coefficients: npt.NDArray[np.complex64]) -> npt.NDArray[np.float32]:
    """Log-odds, float32 [N], that images carry a wave, by their coefficients at its frequency, complex64 [N].

    Those without one are of unit size on average and of any phase; those with one are around a common mean.
    """
    # Half of them are taken to carry it at first.
    mean, share = 2 * coefficients.mean(), 0.5
    odds = np.zeros(len(coefficients))
    for _ in range(100):
        odds = np.log(share / (1 - share)) + np.abs(coefficients) ** 2 - np.abs(coefficients - mean) ** 2
        weights = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
        before, share = share, float(np.clip(weights.mean(), 1e-3, 1 - 1e-3))
        mean = (weights * coefficients).sum() / max(weights.sum(), 1e-9)
        if abs(share - before) < 1e-5:
            break
    return odds.astype(np.float32)
