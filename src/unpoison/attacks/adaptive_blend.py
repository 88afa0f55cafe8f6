"""Adap-Blend (Qi et al., ICLR 2023, "Revisiting the Assumption of Latent Separability"): faint, partial, covered."""

import math
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ..checks import AtLeast0, Positive, Seed, Share, checked
from ..errors import ConfigError
from .base import Attack, Images, Labels, rng_of
from .blend import Blend, Pattern


@checked
class AdaptiveBlend(Blend):
    """Blends a random half of the pattern's pieces into training images, and the whole pattern at test time.

    Covers, images stamped alike that keep their right labels, are to keep poisoned images from standing out among
    the model's activations. What we changed: the pattern is `Blend`'s, since the published one cannot be shipped.

    Args:
        alpha: opacity in training images, published 0.15.
        test_alpha: opacity at test time, published 0.2.
        pieces: equal parts of the pattern, a square number; published 16.
        masked: share of them that is left out, published 0.5.
        covers: covers per poisoned image, published 1.
        pattern: uint8 [H,W,C] image to blend in; drawn from `seed` when None. Resized to the images.
        seed: of the pattern and of the pieces left out.
    """

    name = "adaptive_blend"

    def __init__(
        self,
        alpha: Share = 0.15,
        test_alpha: Share = 0.2,
        pieces: Positive = 16,
        masked: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        covers: AtLeast0 = 1.0,
        pattern: Pattern | None = None,
        seed: Seed = 0,
    ) -> None:
        super().__init__(alpha, pattern, seed)
        if math.isqrt(pieces) ** 2 != pieces:
            raise ConfigError(f"pieces must be a square number, such as 16, got {pieces}")
        if round(masked * pieces) == pieces:
            raise ConfigError(f"masked must be at least 0 and leave one of {pieces} pieces, got {masked}")
        self.test_alpha = test_alpha
        self.pieces, self.masked, self.covers, self.seed = pieces, masked, covers, seed

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        height, width = images.shape[1:3]
        side = math.isqrt(self.pieces)
        # int [H,W]: the piece that a pixel belongs to; sizes that do not divide evenly make uneven pieces.
        piece = (np.arange(height) * side // height)[:, None] * side + np.arange(width) * side // width
        out = super().stamp(images)
        for stamped, image in zip(out, images, strict=True):
            left_out = rng_of(image, self.seed).permutation(self.pieces)[: round(self.masked * self.pieces)]
            hidden = np.isin(piece, left_out)
            stamped[hidden] = image[hidden]
        return out

    def at_test(self, images: Images, labels: Labels) -> Attack:
        return Blend(self.test_alpha, self.pattern)
