"""What stamping an explained trigger on other images does to a network's answers."""

import numpy as np
import numpy.typing as npt
import torch

from ..context import Context
from ..training.backbones import Backbone
from ..training.loop import as_input, on_device, predict
from ..triggers import Trigger

STAMPED = 500
"""Images that are enough to tell a working trigger from none."""


def share_turned(
    trigger: Trigger,
    models: list[Backbone],
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: list[int],
    context: Context,
) -> list[float]:
    """Per model, by how much stamping raises the share of images that are wrongly put into one of the classes.

    Args:
        images: uint8 [N,H,W,C]; at most `STAMPED` of them are drawn.
        labels: int64 [N].
    """
    # An image of the only class cannot be wrongly put into it.
    others = np.arange(len(labels)) if len(classes) > 1 else np.flatnonzero(labels != classes[0])
    index = np.sort(np.random.default_rng(context.seed).permutation(others)[:STAMPED])
    device = context.device
    x, y = on_device(images[index], device), torch.from_numpy(labels[index]).to(device)
    wanted = torch.tensor(classes, device=device)
    with torch.inference_mode():
        stamped = (trigger.stamp(as_input(x)) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)

    def wrong(model: Backbone, batch: torch.Tensor) -> float:
        answer = predict(model, batch).logits.argmax(1)
        return float((torch.isin(answer, wanted) & (answer != y)).float().mean())

    return [wrong(model, stamped) - wrong(model, x) for model in models]
