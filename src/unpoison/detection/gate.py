"""The class gate: is a class poisoned at all? Without it, natural clusters would be flagged in every class."""

import math
from collections.abc import Sequence
from statistics import mean, stdev

import numpy as np
import numpy.typing as npt
import scipy
import torch
from torch import Tensor

from .. import rules
from .mixture import Split


def contradicted(probabilities: Tensor, label: int | Tensor) -> float:
    """Fraction of samples of one label, or labels int64 [n], that a classifier, softmax float32 [n,K], contradicts."""
    return float((probabilities.argmax(1) != label).float().mean()) if len(probabilities) else 0.0


def foreign_content(probabilities: Tensor, label: int | Tensor) -> float:
    """How much of a set of samples shows what belongs to many other classes than their own, 0..1.

    The fraction that a classifier, which has not seen these samples, puts into other classes, times how evenly
    these spread: perplexity of their distribution over the number of classes that so many samples would fill if
    drawn at random. A dirty-label attack stamps images of all classes and comes close to 1; a natural cluster (one
    sign at night, cats that look like dogs) goes to few neighbouring classes.

    Args:
        probabilities: float32 [n,K].
        label: the samples' own label, or labels int64 [n].
    """
    predicted = probabilities.argmax(1)
    others = predicted[predicted != label]
    if len(others) == 0:
        return 0.0
    classes = probabilities.shape[1] - 1
    shares = torch.bincount(others) / len(others)
    perplexity = torch.exp(-torch.xlogy(shares, shares).sum())
    filled = classes * (1 - (1 - 1 / classes) ** len(others))
    # With two or three classes any disagreement fills all others: it says less there.
    certainty = min(1.0, classes / 4)
    return contradicted(probabilities, label) * float(perplexity) / filled * certainty


def evidence(split: Split, probabilities: Tensor, label: int) -> float:
    """Separation of the split times the foreign content of its inside, which is at most `separation`."""
    inside = split.log_ratio > 0
    if not inside.any():
        return 0.0
    return split.separation * foreign_content(probabilities[inside], label)


def outstanding(others: Sequence[float], false_alarms: float) -> float:
    """The evidence that sticks out of what other classes of the same dataset have: the end of a prediction interval.

    What a network makes of samples that it has not learned depends on the dataset and on how well it could learn it, so
    no number fits all. The fewer the classes, the more is needed; where there are fewer than two others, no evidence
    suffices.

    Args:
        others: the evidence of classes that are not suspected, of the same kind.
        false_alarms: how often at most a further class like them is to be beyond it.
    """
    count = len(others)
    if count < 2:
        return math.inf
    quantile = float(scipy.stats.t.isf(false_alarms, count - 1))
    return mean(others) + quantile * stdev(others) * math.sqrt(1 + 1 / count)


def unusual(ones: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_], false_alarms: float) -> bool:
    """Whether more of some samples are contradicted than of others, bool [n] and bool [m], by Fisher's exact test."""
    table = [[int(part.sum()), int((~part).sum())] for part in (ones, others)]
    return bool(scipy.stats.fisher_exact(table, alternative="greater").pvalue <= false_alarms)


def clearly_foreign(
    probabilities: Tensor, labels: npt.NDArray[np.int64], shown: npt.NDArray[np.bool_], false_alarms: float
) -> bool:
    """Whether samples that show a trigger, bool [n], have more foreign content than the others.

    A verifier that knows little of the content contradicts many, so they are compared with those that do not show it.

    Args:
        probabilities: float32 [n,K], of samples that were not chosen for what the verifier says.
        labels: int64 [n].
    """
    y = torch.from_numpy(labels)
    if shown.sum() < rules.FURTHER_CARRIERS:
        return False
    inside = torch.from_numpy(shown)
    if foreign_content(probabilities[inside], y[inside]) < rules.FURTHER_FOREIGN:
        return False
    contradicted = (probabilities.argmax(1) != y).numpy()
    return unusual(contradicted[shown], contradicted[~shown], false_alarms)


def resembles(
    some: npt.NDArray[np.float32], own: npt.NDArray[np.float32], others: npt.NDArray[np.float32], false_alarms: float
) -> bool:
    """Whether some samples of a class look like other classes, by how likely a verifier finds the class, float32 [n].

    They must be less likely than further ones of the class, and no likelier than those of other classes; none of them
    was learned. How much the verifier knows decides how many samples are needed, by the rank-sum test.
    """
    if min(len(some), len(own), len(others)) == 0:
        return False
    less = scipy.stats.mannwhitneyu(some, own, alternative="less").pvalue
    more = scipy.stats.mannwhitneyu(some, others, alternative="greater").pvalue
    return bool(less <= false_alarms and more > rules.LIKELIER)
