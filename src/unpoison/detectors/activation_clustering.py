"""Activation Clustering (Chen et al., SafeAI 2019, arXiv 1811.03728)."""

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from .base import Detector, Features, Labels, Verdict, between, checked, classes

DIMENSIONS = 10
LEAST_SILHOUETTE = 0.1
"""The paper names .10 to .15 as the level that poisoned classes reach; this is its lower end."""
LARGEST_SHARE = 0.35
"""A poisoned cluster is smaller than this part of its class; the default of the authors' implementation (ART)."""
LEAST_SAMPLES = 3


@checked
def detect(features: Features, labels: Labels, rate: float) -> Verdict:
    """Two clusters per class in ten components; the smaller one is poison where the split is clear.

    Flags the smaller cluster of classes whose silhouette is above .1 and whose smaller cluster holds less than .35.
    Exclusionary reclassification, the paper's third criterion, would need networks trained without the cluster; it is
    left out. Does not use the rate.

    Score: silhouette of the class (at least 0) times the sample's place on the line from the centre of the larger
    cluster, 0, to that of the smaller, 1. The paper has no score.
    """
    score, flagged = np.zeros(len(labels), np.float32), np.zeros(len(labels), bool)
    for members in classes(labels):
        points = reduce(features[members])
        if len(np.unique(points, axis=0)) < LEAST_SAMPLES:
            continue
        clusters = KMeans(2, n_init=10, random_state=0).fit(points)
        smaller = int(np.bincount(clusters.labels_, minlength=2).argmin())
        inside = clusters.labels_ == smaller
        silhouette = float(silhouette_score(points, clusters.labels_))
        centres = clusters.cluster_centers_
        score[members] = max(silhouette, 0.0) * between(points, centres[1 - smaller], centres[smaller])
        if silhouette > LEAST_SILHOUETTE and inside.mean() < LARGEST_SHARE:
            flagged[members[inside]] = True
    return Verdict(score, flagged)


def reduce(features: Features) -> npt.NDArray[np.floating]:
    """Ten directions of a class, float [n,10] of [n,D], uncorrelated and of unit variance; fewer where it has fewer.

    The paper takes independent components (FastICA). Those are principal components of unit variance, rotated; no
    distance changes under a rotation, so the clusters and their silhouette are the same, whether or not ICA converges.
    """
    count = min(DIMENSIONS, int(np.linalg.matrix_rank(features - features.mean(0))))
    if count == 0:
        return np.zeros((len(features), 1), np.float32)
    points: npt.NDArray[np.floating] = PCA(count, whiten=True, svd_solver="full").fit_transform(features)
    return points


DETECTOR = Detector(
    name="activation_clustering",
    detect=detect,
    source="Chen et al., Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering, SafeAI 2019",
)
