"""SCAn (Tang et al., "Demon in the Variant", USENIX Security 2021, arXiv 1908.00686)."""

import math

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from .base import Detector, Features, Labels, Verdict, between, checked, classes

INDEX = math.e**2
"""A class is contaminated above it; published 7.3891."""
CONSISTENCY = 1.4826
"""Median absolute deviation to standard deviation of a normal distribution."""
ITERATIONS = 20
RESTARTS = 100
"""Of 2-means: with 10, the likeliest split was missed in 64 dimensions."""
RIDGE = 1e-4
LEAST_SAMPLES = 3

Matrix = npt.NDArray[np.float64]


@checked
def detect(features: Features, labels: Labels, rate: float) -> Verdict:
    """Is a class better described by two means than by one, given how all classes vary around their means?

    Flags the smaller group of classes whose likelihood ratio J is an outlier among the classes: its distance from
    their median is above e² of their (consistent) median absolute deviations. Does not use the rate.

    What differs: the covariance within classes comes from all the data, as there is no clean set; only a J above the
    median can be an outlier; J is the mean over the class, since sums would call large classes contaminated.

    Score: log(1 + exp(anomaly index of the class)), which is positive, times the sample's place on the line from the
    mean of the larger group, 0, to that of the smaller, 1, in the whitened space. The paper has no score.
    """
    whitened = whiten(features, labels)
    members = [found for found in classes(labels) if len(found) >= LEAST_SAMPLES]
    places, insides, gains = [], [], []
    for found in members:
        points = whitened[found]
        # With one covariance for both groups, the likeliest two means and hard groups are those of 2-means.
        clusters = KMeans(2, n_init=RESTARTS, random_state=0).fit(points)
        smaller = int(np.bincount(clusters.labels_, minlength=2).argmin())
        centres = clusters.cluster_centers_
        places.append(between(points, centres[1 - smaller], centres[smaller]))
        insides.append(clusters.labels_ == smaller)
        gains.append((np.square(points - points.mean(0)).sum() - clusters.inertia_) / len(points))
    score, flagged = np.zeros(len(labels), np.float32), np.zeros(len(labels), bool)
    for found, place, inside, index in zip(members, places, insides, anomaly_index(np.array(gains)), strict=True):
        score[found] = np.logaddexp(0, index) * place
        flagged[found[inside]] = index > INDEX
    return Verdict(score, flagged)


def anomaly_index(values: Matrix) -> Matrix:
    """Distances of values, float [K], from their median in (consistent) median absolute deviations; signed."""
    if not len(values):
        return values
    distance = values - np.median(values)
    # With two classes both lie one deviation off: nothing stands out.
    return distance / max(CONSISTENCY * float(np.median(np.abs(distance))), 1e-12)


def whiten(features: Features, labels: Labels) -> Matrix:
    """Features, float32 [N,D], in units of the variation within classes, float64 [N,D].

    The paper's global model: a feature is the sum of its class's mean, normal with covariance S_μ, and a variation,
    normal with covariance S_ε; both are fitted by expectation maximisation. A small ridge keeps dead units quiet.
    """
    x = (features - features.mean(0)).astype(np.float64)
    groups = [x[members] for members in classes(labels)]
    sizes = np.array([len(group) for group in groups])
    means = np.stack([group.mean(0) for group in groups])
    within = sum(((group - mean).T @ (group - mean) for group, mean in zip(groups, means, strict=True))) / len(x)
    ridge = (RIDGE * np.trace(within) / x.shape[1] + 1e-12) * np.eye(x.shape[1])
    of_means, of_variation = means.T @ means / len(means), within + ridge
    for _ in range(ITERATIONS):
        next_of_means, extra = np.zeros_like(within), np.zeros_like(within)
        for size, mean in zip(sizes, means, strict=True):
            shrink = np.linalg.solve(of_means + of_variation / size, of_means).T
            expected = shrink @ mean
            uncertain = of_means - shrink @ of_means
            next_of_means += (np.outer(expected, expected) + uncertain) / len(means)
            extra += size / len(x) * (np.outer(mean - expected, mean - expected) + uncertain)
        of_means, of_variation = next_of_means, within + extra + ridge
    variances, directions = np.linalg.eigh(of_variation)
    whitened: Matrix = x @ (directions / np.sqrt(variances))
    return whitened


DETECTOR = Detector(
    name="scan",
    detect=detect,
    source="Tang et al., Demon in the Variant, USENIX Security 2021",
)
