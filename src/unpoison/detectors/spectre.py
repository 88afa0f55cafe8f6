"""SPECTRE (Hayase et al., ICML 2021, arXiv 2104.11315)."""

import numpy as np
import numpy.typing as npt

from .base import Detector, Features, Labels, Verdict, checked, classes, highest, removed

ALPHA = 4.0
"""Of the QUE score, as published."""
DIMENSIONS = (2, 4, 8, 16, 32, 64)
"""The paper tries every number up to a bound."""
SAMPLES_PER_DIMENSION = 4
STEPS = 20

Points = npt.NDArray[np.float64]


@checked
def detect(features: Features, labels: Labels, rate: float) -> Verdict:
    """Whitens each class by a robust estimate of its clean part and scores by quantum entropy (QUE).

    Flags the 1.5 ε N samples with the highest scores of the one class whose mean score is highest; the number of
    principal components is the one with the highest mean, for each class apart.

    What differs: mean and covariance come from concentration steps (Rousseeuw and Van Driessen, 1999), which drop the
    1.5 ε N samples furthest away and start again, in place of the paper's filter with its guarantees; numbers of
    components are powers of two, not all.

    Score: QUE in the chosen class; samples of other classes come below it, in the order of theirs.
    """
    count = removed(rate, len(labels))
    score = np.zeros(len(labels), np.float32)
    chosen, clearest = None, 0.0
    for members in classes(labels):
        found = que_scores(features[members].astype(np.float64), count)
        if found is None:
            continue
        score[members] = found
        if found.mean() > clearest:
            chosen, clearest = members, float(found.mean())
    flagged = np.zeros(len(labels), bool)
    if chosen is None:
        return Verdict(score, flagged)
    flagged[highest(score, chosen, count)] = True
    others = np.setdiff1d(np.arange(len(labels)), chosen)
    # Between -1 and 0, below every score of the chosen class.
    score[others] = -1 / (1 + score[others])
    return Verdict(score, flagged)


def que_scores(points: Points, dropped: int) -> Points | None:
    """QUE scores, float64 [n], of a class, [n,D], in the number of components that shows most; None if it is too small.

    Args:
        dropped: how many samples at most the robust estimate leaves out; never more than half.
    """
    kept = len(points) - min(dropped, len(points) // 2)
    centred = points - points.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    limit = min(int((sizes > 1e-6 * sizes[0]).sum()), len(points) // SAMPLES_PER_DIMENSION)
    found = [que(robustly_whitened(centred @ directions[:k].T, kept)) for k in DIMENSIONS if k <= limit]
    return max(found, key=lambda scores: float(scores.mean()), default=None)


def robustly_whitened(points: Points, kept: int) -> Points:
    """Points, float64 [n,k], by mean and covariance of the `kept` most central ones; their median length is normal."""
    distance = np.square(points - np.median(points, 0)).sum(1)
    inside: npt.NDArray[np.int64] = np.empty(0, np.int64)
    for _ in range(STEPS):
        before, inside = inside, np.sort(np.argsort(distance, kind="stable")[:kept])
        if np.array_equal(before, inside):
            break
        centred = points - points[inside].mean(0)
        variances, directions = np.linalg.eigh(centred[inside].T @ centred[inside] / kept)
        whitened = centred @ (directions / np.sqrt(np.maximum(variances, 1e-9 * variances[-1])))
        distance = np.square(whitened).sum(1)
    # The most central samples spread less than all clean ones do. Median of chi squared: Wilson and Hilferty (1931).
    k = points.shape[1]
    normal: Points = whitened * np.sqrt(k * (1 - 2 / (9 * k)) ** 3 / np.median(distance))
    return normal


def que(whitened: Points) -> Points:
    """τ = hᵀ Q h / tr Q with Q = exp(α (Σ - 1) / (‖Σ‖ - 1)), float64 [n] of [n,k]; Σ is the second moment."""
    variances, directions = np.linalg.eigh(whitened.T @ whitened / len(whitened))
    # A factor of Q cancels: the largest weight is 1. Where nothing varies more than is normal, only it counts.
    weights = np.exp(ALPHA * (variances - variances[-1]) / max(float(variances[-1]) - 1, 1e-6))
    scores: Points = np.square(whitened @ directions) @ (weights / weights.sum())
    return scores


DETECTOR = Detector(
    name="spectre",
    detect=detect,
    source="Hayase et al., SPECTRE: Defending Against Backdoor Attacks Using Robust Statistics, ICML 2021",
    told=True,
)
