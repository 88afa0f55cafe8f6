"""What every attack has in common."""

import copy
import hashlib
from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import numpy.typing as npt

from ..data.pixels import resize, with_channels
from ..errors import DatasetError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Attack(ABC):
    """Stamps a trigger on images: `attack(images)` maps uint8 [B,H,W,C] to the same shape and dtype.

    What is random per image follows from its pixels and the attack's seed, so that an image is stamped alike alone,
    in any batch and in any order.

    Some attacks learn from images of the dataset first: see `fit`, and implement `fitted`, `needed` and `learn`.

    Attributes:
        name: the registered name, e.g. ``"badnets"``.
        clean_label: True where the attack poisons only images of the target class and leaves labels alone.
        covers: stamped images that keep their right labels, per poisoned image.
    """

    name: str
    clean_label: bool = False
    covers: float = 0.0

    def __call__(self, images: Images) -> Images:
        """Returns poisoned copies of uint8 images [B,H,W,C].

        An attack that has to be fitted and was not learns from these images, for this call alone.

        Raises:
            DatasetError: the array has another dtype or shape.
        """
        images = _checked(images)
        if not len(images):
            return images.copy()
        attack = self if self.fitted else copy.copy(self).fit(images)
        return np.clip(np.rint(attack.stamp(images.astype(np.float32))), 0, 255).astype(np.uint8)

    @abstractmethod
    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Applies the trigger to float32 images [B,H,W,C] in 0..255; rounding and clipping follow."""

    @property
    def fitted(self) -> bool:
        """Whether the attack needs no `fit`, or has had it."""
        return True

    def needed(self, labels: Labels) -> npt.NDArray[np.int64]:
        """Positions of the images that `fit` learns from in a dataset with labels int64 [N]; by default none."""
        return np.zeros(0, np.int64)

    def fit(self, images: Images) -> Self:
        """Learns from uint8 images [M,H,W,C], those of the dataset at `needed(labels)`, and returns itself.

        `PoisonedDataset` calls it for attacks that are not fitted yet.

        Raises:
            DatasetError: the array has another dtype or shape, or is empty.
        """
        images = _checked(images)
        if not len(images):
            raise DatasetError(f"{self.name} has no images to learn from: give it at least one")
        self.learn(images)
        return self

    def learn(self, images: Images) -> None:  # noqa: B027
        """What `fit` does with checked images; by default nothing."""

    def victims(self, labels: Labels, targets: Labels) -> Flags:
        """bool [N]: the images that the attacker wants to have classified as int64 `targets` [N] instead of `labels`.

        Raises:
            ConfigError: the attack cannot have such targets.
        """
        victims: Flags = labels != targets
        return victims

    def usable(self, labels: Labels, targets: Labels) -> Flags:
        """bool [N]: the images that may be poisoned."""
        usable: Flags = labels == targets if self.clean_label else self.victims(labels, targets)
        return usable

    def at_test(self, images: Images, labels: Labels) -> "Attack":
        """The attack that stamps test images, uint8 [N,H,W,C] with labels int64 [N]; by default itself."""
        return self


def _checked(images: Images) -> Images:
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise DatasetError(f"an attack takes uint8 images [B,H,W,C], got {images.dtype} {list(images.shape)}")
    return images


def rng_of(image: npt.NDArray[np.float32], seed: int) -> np.random.Generator:
    """Random numbers that depend on the pixels (whole numbers in 0..255) and the seed alone."""
    digest = hashlib.sha256(image.astype(np.uint8).tobytes()).digest()
    return np.random.default_rng([seed, *digest])


def draw_other(images: Images, image: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """One of uint8 images [M,h,w,c] in the shape [H,W,C] of `image`; another one than `image` if there is any."""
    height, width, channels = image.shape
    for number in rng.permutation(len(images))[:2]:
        other = resize(with_channels(images[number], channels), height, width).astype(np.float32)
        if not np.array_equal(other, image):
            break
    return other
