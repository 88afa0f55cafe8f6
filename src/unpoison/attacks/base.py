"""What every attack has in common."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DatasetError

Images = npt.NDArray[np.uint8]


class Attack(ABC):
    """Stamps a trigger on images: `attack(images)` maps uint8 [B,H,W,C] to the same shape and dtype.

    Attributes:
        name: the registered name, e.g. ``"badnets"``.
        clean_label: True where the attack poisons only images of the target class and leaves labels alone.
    """

    name: str
    clean_label: bool = False

    def __call__(self, images: Images) -> Images:
        """Returns poisoned copies of uint8 images [B,H,W,C].

        Raises:
            DatasetError: the array has another dtype or shape.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DatasetError(f"an attack takes uint8 images [B,H,W,C], got {images.dtype} {list(images.shape)}")
        return np.clip(np.rint(self.stamp(images.astype(np.float32))), 0, 255).astype(np.uint8)

    @abstractmethod
    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Applies the trigger to float32 images [B,H,W,C] in 0..255; rounding and clipping follow."""


def check_unit(name: str, value: float) -> float:
    """Returns `value`, or raises `ConfigError` if it is outside (0, 1]."""
    if not 0 < value <= 1:
        raise ConfigError(f"{name} must lie in (0, 1], got {value}")
    return value
