"""Blends: any pattern that is mixed into or added to all pixels."""

import torch
from torch import Tensor

from .. import rules
from .pattern import Fitted, Pattern
from .registry import register_trigger


@register_trigger
class Blend(Pattern):
    """A pattern of which nothing simpler is known."""

    kind = "blend"
    description = "a pattern, mixed into the image"
    order = 30

    @classmethod
    def describe(cls, fitted: Fitted) -> Fitted:
        return fitted

    def leave_noise(self, error: Tensor) -> None:
        # Where no more than noise was added, nothing is taken off.
        self.set(shift=torch.where(self.shift.abs() > rules.SIGNIFICANT * error, self.shift, 0))

    @property
    def copies(self) -> bool:
        """Whether the images have more of the pattern than of themselves."""
        return float(self.scale.mean()) < 1 - rules.OPAQUE
