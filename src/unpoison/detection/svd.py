"""The outlier score of PD-AutoR 3.1.4, component 5: Spectral Signatures (Tran et al., 2018, algorithm 1)."""

import torch
from torch import Tensor


def svd_scores(features: Tensor, labels: Tensor) -> Tensor:
    """Squared projection of each sample on the top singular vector of its class.

    Args:
        features: float32 [N,F].
        labels: int64 [N].

    Returns:
        float32 [N], higher is more suspicious; 0 in classes of one sample.
    """
    scores = torch.zeros(len(labels), device=features.device)
    for label in torch.unique(labels):
        members = labels == label
        centred = features[members] - features[members].mean(0)
        _, _, directions = torch.linalg.svd(centred, full_matrices=False)
        scores[members] = (centred @ directions[0]).square()
    return scores


def threshold_at(scores: Tensor, rate: float) -> float:
    """Where PD-AutoR cuts, float32 [N]: 1.5 ε N samples score higher, at least one, with ε the rate of poison."""
    count = max(1, round(1.5 * rate * len(scores)))
    return float(scores.sort(descending=True).values[min(count, len(scores) - 1)])
