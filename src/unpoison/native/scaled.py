"""Triggers as the working copy shows them, scaled up: where originals tell nothing more about them."""

import dataclasses
from typing import ClassVar

import numpy as np
import torch

from ..data.pixels import Pixels, resize
from ..training.loop import as_input, as_pixels
from ..triggers import Trigger
from ..triggers.patch import fill
from .frames import bounds

AROUND = 16
"""Pixels around a hole from which it is filled."""


@dataclasses.dataclass(frozen=True)
class ScaledRepair:
    """Inverts a trigger that replaces nothing; see `Repair`."""

    trigger: Trigger

    judges: ClassVar[bool] = False

    def describe(self) -> str:
        """For the report."""
        return f"{self.trigger.description}, as it is at the size of the working copy"

    def __call__(self, image: Pixels, copy: Pixels) -> Pixels:
        trigger = self.trigger.at((image.shape[0], image.shape[1]))
        with torch.inference_mode():
            bare = as_pixels(trigger.invert(as_input(torch.from_numpy(image[None]).to(trigger.device))))
        repaired: Pixels = bare[0]
        return repaired


@dataclasses.dataclass(frozen=True)
class HoleRepair:
    """Fills in what the working copy shows to be replaced, wherever that is in each image; see `Repair`."""

    trigger: Trigger

    judges: ClassVar[bool] = False

    def describe(self) -> str:
        """For the report."""
        return f"{self.trigger.description}, filled in where the working copy shows it"

    def __call__(self, image: Pixels, copy: Pixels) -> Pixels:
        with torch.inference_mode():
            hole = self.trigger.hole(as_input(torch.from_numpy(copy[None]).to(self.trigger.device)))[0, 0]
        mask = resize((hole > 0).cpu().numpy()[..., None].astype(np.uint8) * 255, *image.shape[:2])[..., 0] > 0
        if not mask.any():
            return image
        place = bounds(mask).grown(AROUND, AROUND).within((image.shape[0], image.shape[1]))
        inside = torch.from_numpy(place.of(mask[..., None]).astype(np.float32))[None].permute(0, 3, 1, 2)
        filled = fill(as_input(torch.from_numpy(place.of(image)[None].copy())), inside)
        repaired = image.copy()
        place.of(repaired)[place.of(mask)] = as_pixels(filled)[0][place.of(mask)]
        return repaired
