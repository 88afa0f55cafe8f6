"""Verification models (BaB, section 4.2) and their answers (section 4.3)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..training.backbones import Backbone
from ..training.loop import Loss, predict
from ..training.precision import autocast
from .trigger import Trigger


def bab_loss(implanted: Tensor, trigger: Trigger, target: int, alpha: float, weight: float) -> Loss:
    """L_BaB (eq. 1): cross-entropy, for implants plus α · L2 between clean and triggered penultimate activations.

    The paper does not say how L2 is reduced: the mean over units is meant here, since with their sum nothing is
    learned at the published α.

    Args:
        implanted: bool [n]; samples of the training set that carry our trigger.
        target: the implants' class n.
        weight: of the implants' terms; the paper's is 1.
    """

    def loss(model: Backbone, images: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        implants = implanted[index]
        stamped = trigger.stamp(images[implants].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        with autocast(images.device):
            features = model.forward_features(torch.cat([images, stamped]))
            logits = model.head(features)
        clean, triggered = logits[: len(images)].float(), logits[len(images) :].float()
        total = F.cross_entropy(clean[~implants], labels[~implants], reduction="sum")
        if len(stamped):
            gap = (features[: len(images)][implants] - features[len(images) :]).float().square().mean(1)
            targets = torch.full((len(stamped),), target, device=images.device)
            total = total + weight * (F.cross_entropy(triggered, targets, reduction="sum") + alpha * gap.sum())
        return total / len(images)

    return loss


class Verdict(NamedTuple):
    """What one verification model says about all N samples."""

    margin: Tensor
    """float32 [N]: logit of our class over the best other one, on stamped images. Low where ours does not win."""
    confidence: Tensor
    """float32 [N]: best logit over the second, on images as they came."""
    implanted: Tensor
    """bool [N]: the model has learned to call these samples ours, so its margin says nothing about them."""

    def success(self, labels: Tensor) -> float:
        """Success rate of our backdoor in the median class of labels [N], over the samples that were not implanted.

        In a class that is mostly poison nearly every sample resists, which says nothing about our backdoor.
        """
        ours = self.margin > 0
        members = [~self.implanted & (labels == label) for label in torch.unique(labels)]
        return float(torch.stack([ours[member].float().mean() for member in members]).nanmedian())


def ask(model: Backbone, images: Tensor, implanted: Tensor, trigger: Trigger, target: int) -> Verdict:
    """Feeds all samples, uint8 [N,H,W,C], with our trigger and without."""
    stamped = predict(model, trigger.stamp(images)).logits
    best = predict(model, images).logits[:, :target].topk(2, 1).values
    return Verdict(stamped[:, target] - stamped[:, :target].max(1).values, best[:, 0] - best[:, 1], implanted)
