"""Fisher's linear discriminant: which images carry a pattern that is added to all pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..training.loop import EVAL_BATCH, as_input
from .reference import Reference
from .statistics import centre_and_spread

_IMAGES_PER_COEFFICIENT = 10
"""Of clean images, to know how coefficients go together."""


@torch.inference_mode()
def scores(direction: Tensor, images: npt.NDArray[np.uint8]) -> Tensor:
    """Linear discriminant, float32 [N], of uint8 images [N,H,W,C], by a direction [C,H,W]."""
    return torch.cat(
        [(as_input(x) * direction).sum((1, 2, 3)) for x in torch.split(torch.from_numpy(images), EVAL_BATCH)]
    )


class Part(NamedTuple):
    """Images, and a pattern that was fitted to others."""

    change: Tensor
    """What it does to the coefficients of a clean image in the reference's spectrum, float32 [C,H,W]."""
    images: npt.NDArray[np.uint8]
    """[n,H,W,C]."""


class Discriminant(NamedTuple):
    """What tells images with a pattern from those without, given how clean ones vary.

    The coefficients of a spectrum are uncorrelated where all places of an image are alike. Faces and signs are centred,
    and much of what varies in them varies together: what goes with the rest of an image is no pattern.
    """

    direction: Tensor
    """Float32 [C,H,W]."""
    calibration: Tensor
    """Float32 [4], location and scale of the scores of clean images, then of those with the pattern."""

    @classmethod
    def fit(cls, change: Tensor, parts: Sequence[Part], reference: Reference, *, together: bool) -> "Discriminant":
        """Of a pattern's `Part.change`; its parts say how images that it was not fitted to show it.

        Args:
            together: whether it is told by how coefficients vary together, or by each of them alone.
        """
        deviation = reference.spectrum.variance.sqrt()
        white = reference.whitened
        # Those that it changes most tell it together, the others one by one.
        count = min(white.shape[1], len(white) // _IMAGES_PER_COEFFICIENT)
        strongest = (change / deviation).flatten().abs().topk(count).indices
        precision = _precision(white[:, strongest]) if together else torch.eye(count)

        def towards(change: Tensor) -> Tensor:
            weights = (change / deviation).flatten()
            weights[strongest] = precision @ weights[strongest]
            return reference.spectrum.backward(weights.view_as(change) / deviation)

        direction = towards(change)
        held_out = torch.cat([standing_out(towards(part.change), part.images, reference) for part in parts])
        centre, spread = centre_and_spread(scores(direction, reference.images))
        location, width = centre_and_spread(held_out)
        calibration = torch.stack([centre, spread, centre + location * spread, spread * width.clamp_min(0.5)])
        return cls(direction, calibration)


def standing_out(direction: Tensor, images: npt.NDArray[np.uint8], reference: Reference) -> Tensor:
    """Scores [n] of images in scales of the clean ones from their location."""
    centre, spread = centre_and_spread(scores(direction, reference.images))
    return (scores(direction, images) - centre) / spread


def _precision(white: Tensor) -> Tensor:
    """Inverse of the covariance [n,n] of coefficients [m,n] over their deviations."""
    from sklearn.covariance import ledoit_wolf

    covariance: Tensor = torch.from_numpy(ledoit_wolf(white.numpy(), assume_centered=True)[0]).to(white)
    # What does not vary at all is known as exactly as grey levels are.
    covariance.diagonal().clamp_(min=1)
    inverse: Tensor = torch.linalg.inv(covariance)
    return inverse
