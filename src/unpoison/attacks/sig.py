"""SIG (Barni et al., 2019, arXiv 1902.11237): a horizontal sine wave, with the labels left right."""

import numpy as np
import numpy.typing as npt

from ..checks import Above0, checked
from .base import Attack


@checked
class SIG(Attack):
    """Adds delta · sin(2π j f / W) to column j of images of the target class (clean-label attack).

    Args:
        delta: amplitude in grey levels. Published: 20 to 40 of 255.
        frequency: periods across the image.
    """

    name = "sig"
    clean_label = True

    def __init__(self, delta: Above0 = 20, frequency: Above0 = 6) -> None:
        self.delta, self.frequency = delta, frequency

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        width = images.shape[2]
        wave = self.delta * np.sin(2 * np.pi * np.arange(width) * self.frequency / width)
        stamped: npt.NDArray[np.float32] = images + wave.astype(np.float32)[None, None, :, None]
        return stamped
