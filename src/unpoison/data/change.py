"""Carries a repair of the working copy over to an image of any size."""

import numpy as np
import torch
import torch.nn.functional as F

from .eight_bit import EightBit
from .pixels import Pixels, with_channels


def apply_change(original: EightBit, before: Pixels, after: Pixels) -> EightBit:
    """Carries a change made at working resolution over to an image of any size.

    Args:
        original: the image at its own size [H,W,C].
        before: uint8 [h,w,c], its working copy.
        after: uint8 [h,w,c], the restored working copy.

    Returns:
        `after` where the sizes agree, else original + resized (after - before), clipped; the alpha channel stays.
    """
    channels = original.colour.shape[2]
    if original.colour.shape[:2] == after.shape[:2]:
        colour = with_channels(np.asarray(after), channels)
    else:
        before, after = with_channels(before, channels), with_channels(after, channels)
        change = torch.from_numpy(after.astype(np.float32) - before).permute(2, 0, 1)[None]
        size = original.colour.shape[:2]
        change = F.interpolate(change, size, mode="bilinear", align_corners=False, antialias=True)
        pixels = original.colour.astype(np.float32) + change[0].permute(1, 2, 0).numpy()
        colour = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return EightBit(colour, original.alpha)
