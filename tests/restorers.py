"""Restorers that are built in milliseconds."""

import torch

from unpoison.restoration import Restorer
from unpoison.restoration.architecture import Architecture


def make_restorer(seed=0, **changes) -> Restorer:
    """With random weights, for images [8,8,3]."""
    values = {
        "height": 8, "width": 8, "channels": 3, "kind": "none", "generator_width": 4, "transformer_depth": 1,
        "residual": True, "positions": True,
    }  # fmt: skip
    torch.manual_seed(seed)
    return Restorer(Architecture(**{**values, **changes})).eval()
