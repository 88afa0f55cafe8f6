"""A detector on features: what lies far from the median of its class is suspicious."""

import numpy as np

from unpoison import Detector, Verdict

FAR = 3.0
"""Times the median distance of the class."""


def detect(features: np.ndarray, labels: np.ndarray, rate: float) -> Verdict:
    """Maps features float32 [N,D] and labels int64 [N] to scores and flags; it does not need the rate."""
    score = np.zeros(len(labels), np.float32)
    for label in np.unique(labels):
        inside = labels == label
        distance = np.linalg.norm(features[inside] - np.median(features[inside], axis=0), axis=1)
        score[inside] = distance / max(np.median(distance), 1e-9)
    return Verdict(score, score > FAR)


DETECTOR = Detector(name="far", detect=detect, source="an example", version="1")
