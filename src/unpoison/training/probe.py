"""Linear classifiers on frozen features."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbones import Backbone
from .frozen import Frozen
from .loop import as_input, predict

ITERATIONS = 200
"""Of L-BFGS, at most: the loss is convex."""


class Probe(Backbone):
    """A classifier whose penultimate activations are frozen features, and whose head alone is trained and saved.

    Attributes:
        frozen: the source of the features.
    """

    def __init__(self, frozen: Frozen, num_features: int, num_classes: int) -> None:
        super().__init__(nn.Sequential(), num_features, num_classes, (0, 0, 0))
        self.name, self.width = "probe", 0
        self.frozen = frozen

    def forward_features(self, images: Tensor) -> Tensor:
        return self.frozen.features(images)


def fit_probe(frozen: Frozen, images: Tensor, labels: Tensor, num_classes: int, flip: bool) -> Probe:
    """Logistic regression on the features of uint8 images [N,H,W,C] with labels int64 [N], and, with `flip`, of their
    mirror images.

    The features are brought to one scale, and the penalty is scikit-learn's: half of the squared weights beside the sum
    of the losses.
    """
    first = frozen.features(as_input(images[:1]))
    probe = Probe(frozen, first.shape[1], num_classes).to(images.device)
    x = predict(probe, images).features
    if flip:
        x, labels = torch.cat([x, predict(probe, images.flip(2)).features]), labels.repeat(2)
    mean, scale = x.mean(0), x.std(0).clamp_min(1e-6)
    x = (x - mean) / scale
    weight = torch.zeros(num_classes, x.shape[1], device=x.device, requires_grad=True)
    bias = torch.zeros(num_classes, device=x.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(x, weight, bias), labels) + weight.square().sum() / 2 / len(x)
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        probe.head.weight.copy_(weight / scale)
        probe.head.bias.copy_(bias - (weight / scale) @ mean)
    return probe.eval()
