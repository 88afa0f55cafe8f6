"""Spectral Signatures (Tran, Li and Madry, NeurIPS 2018, arXiv 1811.00636)."""

import numpy as np
import torch

from ..detection.svd import svd_scores
from .base import Detector, Features, Labels, Verdict, checked, classes, highest, removed


@checked
def detect(features: Features, labels: Labels, rate: float) -> Verdict:
    """Score: squared projection of the centred features on the top right singular vector of their class (algorithm 1).

    Flags the 1.5 ε highest scores of every class, where ε is the number of poisoned samples in the whole dataset:
    the published algorithm is told the number but not the class. So clean classes lose as much as the poisoned one,
    and classes smaller than 1.5 ε lose all.
    """
    score = svd_scores(torch.from_numpy(features), torch.from_numpy(labels)).numpy()
    flagged = np.zeros(len(labels), bool)
    for members in classes(labels):
        flagged[highest(score, members, removed(rate, len(labels)))] = True
    return Verdict(score, flagged)


DETECTOR = Detector(
    name="spectral",
    detect=detect,
    source="Tran et al., Spectral Signatures in Backdoor Attacks, NeurIPS 2018",
    told=True,
)
