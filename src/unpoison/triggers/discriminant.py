"""Fisher's linear discriminant: which images carry a pattern that is added to all pixels."""

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


class Discriminant(NamedTuple):
    """What tells images with a pattern from those without, given how clean ones vary."""

    direction: Tensor
    """Float32 [C,H,W]."""
    calibration: Tensor
    """Float32 [4], location and scale of the scores of clean images, then of those with the pattern."""

    @classmethod
    def calibrated(cls, direction: Tensor, held_out: Tensor, reference: Reference) -> "Discriminant":
        """By how far images stand out that the pattern was not fitted to, see `standing_out`."""
        centre, spread = centre_and_spread(scores(direction, reference.images))
        location, width = centre_and_spread(held_out)
        shown = centre + location * spread, spread * width.clamp_min(0.5)
        return cls(direction, torch.stack([centre, spread, *shown]))


def standing_out(direction: Tensor, images: npt.NDArray[np.uint8], reference: Reference) -> Tensor:
    """Scores [n] of images in scales of the clean ones from their location."""
    centre, spread = centre_and_spread(scores(direction, reference.images))
    return (scores(direction, images) - centre) / spread


def one_by_one(change: Tensor, reference: Reference) -> Tensor:
    """The direction, float32 [C,H,W], that tells a pattern where coefficients are uncorrelated.

    Args:
        change: what it does to the coefficients of a clean image in the reference's spectrum, float32 [C,H,W].
    """
    return reference.spectrum.backward(change / reference.spectrum.variance)


class Together:
    """Directions by how coefficients vary together in clean images.

    They are uncorrelated where all places of an image are alike. Faces and signs are centred, and much of what varies
    in them varies together: what goes with the rest of an image is no pattern.

    Args:
        change: of a pattern, as above. The coefficients that it changes most count together, the others one by one.
    """

    def __init__(self, change: Tensor, reference: Reference) -> None:
        self.spectrum, self.deviation = reference.spectrum, reference.spectrum.variance.sqrt()
        white = reference.whitened
        count = min(white.shape[1], len(white) // _IMAGES_PER_COEFFICIENT)
        self.strongest = (change / self.deviation).flatten().abs().topk(count).indices
        self.precision = _precision(white[:, self.strongest])

    def towards(self, change: Tensor) -> Tensor:
        """The direction, float32 [C,H,W], that tells a pattern which changes coefficients like this."""
        weights = (change / self.deviation).flatten()
        weights[self.strongest] = self.precision @ weights[self.strongest]
        return self.spectrum.backward(weights.view_as(change) / self.deviation)


def _precision(white: Tensor) -> Tensor:
    """Inverse of the covariance [n,n] of coefficients [m,n] over their deviations."""
    from sklearn.covariance import ledoit_wolf

    covariance: Tensor = torch.from_numpy(ledoit_wolf(white.numpy(), assume_centered=True)[0]).to(white)
    # What does not vary at all is known as exactly as grey levels are.
    covariance.diagonal().clamp_(min=1)
    inverse: Tensor = torch.linalg.inv(covariance)
    return inverse
