"""How little the label of a sample is believed, by M as it learns and by a verifier that has not learned the sample."""

import torch
from torch import Tensor

from .features import TrainingRecord
from .mixture import whiten

CONTRADICTION_WEIGHT = 3.0
"""Weight of the verifying classifier's verdict against the other features, each of unit spread."""
MAX_LOG_ODDS = 8.0
VERIFIER_SAY = 0.8
"""Of doubt; M has the rest. M learns early what a few images with wrong labels share, and no longer doubts them then.
Measured: of 37 blended signs among 12,330 of GTSRB, 11 are among the 16 most doubted of their class, 8 with equal
weights; on CIFAR-10 the weights make no difference."""


def contradictions(record: TrainingRecord, activations: Tensor, probabilities: Tensor, y: Tensor) -> Tensor:
    """E1 ‖ loss trajectory ‖ log-odds against the label, each block scaled by its own spread."""
    trajectory, verdict = _against_label(record, probabilities, y)
    return torch.cat(
        [activations, trajectory / trajectory.std(0).clamp_min(1e-3), CONTRADICTION_WEIGHT * whiten(verdict, y)], 1
    )


def doubt(record: TrainingRecord, probabilities: Tensor, y: Tensor) -> Tensor:
    """How little a sample's label is believed, float32 [N] within ±`MAX_LOG_ODDS`, comparable between classes.

    The log-odds against it, from the verifier and from M, over whose epochs they are averaged: wrong labels are learned
    last.
    """
    trajectory, verdict = _against_label(record, probabilities, y)
    return VERIFIER_SAY * verdict[:, 0] + (1 - VERIFIER_SAY) * trajectory.mean(1)


def _against_label(record: TrainingRecord, probabilities: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Log-odds against every label: M's after each epoch, float32 [N,d2], and the verifier's, [N,1].

    Not raw losses: those have tails that a few outliers would dominate.
    """
    return log_odds_against(torch.exp(-record.losses)), log_odds_against(probabilities.gather(1, y[:, None]))


def log_odds_against(probability: Tensor) -> Tensor:
    """log((1 - p) / p), clipped."""
    return -torch.logit(probability.float(), eps=1e-6).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
