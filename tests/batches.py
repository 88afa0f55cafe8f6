"""Images as networks take them, and back."""

import numpy as np
import torch


def as_images(batch: torch.Tensor) -> np.ndarray:
    """uint8 [B,H,W,C] of float [B,C,H,W] in 0..1."""
    return (batch * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def as_batch(images: np.ndarray) -> torch.Tensor:
    """float [B,C,H,W] in 0..1 of uint8 [B,H,W,C]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
