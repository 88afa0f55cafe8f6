"""PD-AutoR's own baseline (Chen et al., section 5.1.2): the post-training feature E1 without the loss trajectory."""

import torch

from ..detection.svd import svd_scores, threshold_at
from .base import Detector, Features, Labels, Verdict, checked


@checked
def detect(features: Features, labels: Labels, rate: float) -> Verdict:
    """Score: as Spectral Signatures. Flags the 1.5 ε N highest scores of the whole dataset, as PD-AutoR's preset does.

    With penultimate activations as features this is the preset "paper" with λ = 0.
    """
    score = svd_scores(torch.from_numpy(features), torch.from_numpy(labels))
    return Verdict(score.numpy(), (score > threshold_at(score, rate)).numpy())


DETECTOR = Detector(
    name="post_training",
    detect=detect,
    source="Chen et al., PD-AutoR, section 5.1.2: the baseline without loss trajectories",
    told=True,
)
