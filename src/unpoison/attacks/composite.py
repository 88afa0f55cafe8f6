"""Composite backdoor (Lin et al., CCS 2020): halves of images of two classes, labelled as a third."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..checks import Natural, Seed, Whole, checked
from ..errors import ConfigError, DatasetError
from .base import Attack, Flags, Images, Labels, draw_other, rng_of


@checked
class Composite(Attack):
    """Joins a part of an image of the first source class to a part of one of the second, side by side or stacked.

    The paper's half mixer: each part is a random window of its image, the cut lies in the middle give or take
    `jitter`, and orientation and order are random. The published target is class 2.

    What we changed: the paper controls the training as well, which also mixes images of one class under their own
    label and adds a contrastive loss. This is data poisoning alone.

    Args:
        sources: the two class numbers, published 0 and 1. Images of the first are poisoned.
        jitter: largest distance of the cut from the middle in pixels, published 3.
        seed: of partners, cuts and windows.
    """

    name = "composite"

    def __init__(self, sources: Sequence[Whole] = (0, 1), jitter: Natural = 3, seed: Seed = 0) -> None:
        if len(sources) != 2 or sources[0] == sources[1]:
            raise ConfigError(f"sources must be two different classes, got {list(sources)}")
        self.sources, self.jitter, self.seed = tuple(sources), jitter, seed
        self._partners: Images | None = None

    @property
    def fitted(self) -> bool:
        return self._partners is not None

    def needed(self, labels: Labels) -> npt.NDArray[np.int64]:
        """The images of the second source class.

        Raises:
            ConfigError: there are none.
        """
        partners = np.flatnonzero(labels == self.sources[1])
        if not len(partners):
            raise ConfigError(f"no image has class {self.sources[1]}: choose two of {np.unique(labels).tolist()}")
        return partners

    def learn(self, images: Images) -> None:
        """Keeps uint8 images [M,H,W,C] of the second source class as partners."""
        self._partners = images

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if min(images.shape[1:3]) // 2 <= self.jitter:
            raise DatasetError(
                f"images of {images.shape[1]}x{images.shape[2]} are too small to be cut {self.jitter} pixels off the "
                "middle: lower jitter"
            )
        assert self._partners is not None
        out = np.empty_like(images)
        for place, image in enumerate(images):
            rng = rng_of(image, self.seed)
            parts = [image, draw_other(self._partners, image, rng)]
            if rng.random() < 0.5:
                parts.reverse()
            axis = int(rng.integers(2))
            side = image.shape[axis]
            cut = side // 2 + int(rng.integers(-self.jitter, self.jitter, endpoint=True))
            windows = [_window(part, length, axis, rng) for part, length in zip(parts, (cut, side - cut), strict=True)]
            out[place] = np.concatenate(windows, axis)
        return out

    def victims(self, labels: Labels, targets: Labels) -> Flags:
        if np.isin(self.sources, targets).any():
            raise ConfigError(
                f"composite mixes classes {self.sources[0]} and {self.sources[1]}: its target must be one other class"
            )
        victims: Flags = labels == self.sources[0]
        return victims

    def at_test(self, images: Images, labels: Labels) -> Attack:
        """The same with partners among these images."""
        return Composite(self.sources, self.jitter, self.seed).fit(images[self.needed(labels)])


def _window(
    image: npt.NDArray[np.float32], length: int, axis: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """A random window of that length along an axis of [H,W,C], whole along the other."""
    start = int(rng.integers(image.shape[axis] - length, endpoint=True))
    window: npt.NDArray[np.float32] = image.take(np.arange(start, start + length), axis)
    return window
