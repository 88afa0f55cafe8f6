"""Two-component mixtures per class: is there a minority inside the class, and who belongs to it?"""

from typing import NamedTuple

import torch
from torch import Tensor

from .. import rules

ITERATIONS = 60
DIRECTIONS = 8
RIDGE = 0.01
MIN_DIRECTIONS = 8
SAMPLES_PER_DIRECTION = 8
TAILS = 4.0
TYPICAL = 1.0


def whiten(features: Tensor, labels: Tensor) -> Tensor:
    """Centres each class and whitens by the pooled within-class covariance, float32 [N,F] to float32 [N,D].

    Poison sits in few classes, so the pooled covariance describes what clean variation looks like, and a
    backdoor's direction stands out against it. A ridge of 1 % of the mean variance keeps dead units quiet. Only the
    strongest D directions are kept, an eighth of the median class size: with as many directions as samples, any
    class splits along noise.
    """
    centred = torch.empty_like(features)
    for label in torch.unique(labels):
        members = labels == label
        centred[members] = features[members] - features[members].mean(0)
    covariance = centred.T.double() @ centred.double() / len(centred)
    variances, directions = torch.linalg.eigh(covariance)
    variances = variances.clamp_min(0)
    scale = (variances + RIDGE * variances.mean() + 1e-12).rsqrt()
    kept = max(MIN_DIRECTIONS, int(labels.bincount()[torch.unique(labels)].median()) // SAMPLES_PER_DIRECTION)
    whitened: Tensor = centred @ (directions * scale)[:, -kept:].float()
    return whitened


class Split(NamedTuple):
    """A split of one class into two sides. "Inside" is the side under suspicion."""

    log_ratio: Tensor
    """float32 [n], log-likelihood ratio of inside to outside; above 0 = inside."""
    gain: float
    """Log-likelihood of two components over that of one, summed over the class."""
    share: float
    """Fraction inside."""
    separation: float
    """Distance of the two means in units of the within-class standard deviation."""

    def swapped(self) -> "Split":
        """The same split with the other side under suspicion."""
        return Split(-self.log_ratio, self.gain, 1 - self.share, self.separation)


def least_share(count: int) -> float:
    """The smallest part of `count` samples that makes a cluster."""
    return max(rules.LEAST_CLUSTER_SHARE, rules.LEAST_CLUSTER / count)


def minority_split(whitened: Tensor, losses: Tensor | None = None) -> Split:
    """The clearest split of a class into a majority and a minority, which is inside.

    EM starts from the tenth of the samples at either end of the top singular directions, and, where losses are given,
    from the tenth with the highest in the first third of the epochs: a backdoor that is learned slowly hides among
    natural variation, but is learned late (the paper's observation 2).

    Args:
        whitened: float32 [n,F].
        losses: float32 [n,d2], after each epoch.
    """
    centred = whitened - whitened.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    projections = centred @ directions[: min(DIRECTIONS, len(directions))].T
    ends = torch.cat([projections, -projections], 1).T
    if losses is not None:
        ends = torch.cat([ends, losses[:, : max(1, losses.shape[1] // 3)].sum(1, keepdim=True).T])
    split = fit_split(whitened, ends >= ends.quantile(0.9, dim=1, keepdim=True))
    return split if split.share <= 0.5 else split.swapped()


def fit_split(whitened: Tensor, starts: Tensor) -> Split:
    """Fits two Gaussians of identity covariance by EM; of several starts, the one with the clearest split wins.

    The likeliest would be the wrong choice: a class that varies smoothly is described best by its halves, and a small
    far cluster, which is what poison looks like, gains less.

    Args:
        whitened: float32 [n,F].
        starts: bool [S,n], who is inside at first; all starts run side by side.
    """
    x = whitened - whitened.mean(0)
    n = len(x)
    inside = starts.float()
    for _ in range(ITERATIONS):
        count = inside.sum(1, keepdim=True).clamp(1e-3 * n, n - 1e-3 * n)
        mean_in = inside @ x / count
        mean_out = -(inside @ x) / (n - count)
        log_in = x @ mean_in.T - mean_in.square().sum(1) / 2 + (count / n).log().T
        log_out = x @ mean_out.T - mean_out.square().sum(1) / 2 + (1 - count / n).log().T
        inside = (log_in - log_out).sigmoid().T
    gains = torch.logaddexp(log_in, log_out).sum(0)
    shares = (count / n).flatten()
    separations = (mean_in - mean_out).norm(dim=1)
    clustered = torch.minimum(shares, 1 - shares) >= least_share(n)
    best = int((separations * clustered).argmax() if clustered.any() else gains.argmax())
    ratio = log_in[:, best] - log_out[:, best]
    return Split(ratio, float(gains[best]), float(shares[best]), float(separations[best]))


def calibrate(log_ratio: Tensor) -> Tensor:
    """Turns the log-ratio of a split [n] into log-odds [n] that can be cut at zero.

    Identity covariances are right for the clean side only: poisoned samples keep some of their content and spread
    further. So the projection on the line between the means is fitted anew, with a Student t on either side whose
    centre and width come from median and median absolute deviation.
    """
    inside = log_ratio > 0
    odds = log_ratio
    for _ in range(30):
        if inside.sum() < 3 or (~inside).sum() < 3:
            return odds
        centre_in, log_in = _student(log_ratio, inside)
        centre_out, log_out = _student(log_ratio, ~inside)
        odds = log_in - log_out
        # Beyond the centres the order is clear, whatever the tails say.
        odds = torch.where(log_ratio > centre_in, odds.clamp_min(0.1) + log_ratio - centre_in, odds)
        odds = torch.where(log_ratio < centre_out, odds.clamp_max(-0.1) + log_ratio - centre_out, odds)
        if bool(((odds > 0) == inside).all()):
            return odds
        inside = odds > 0
    return odds


def clearly_outside(log_ratio: Tensor) -> Tensor:
    """bool [n]: the samples that look like the bulk outside, within `TYPICAL` robust deviations of its median.

    Poisoned samples that the split has missed lie between the two sides.
    """
    outside = log_ratio <= 0
    if not outside.any():
        return outside
    centre = log_ratio[outside].median()
    width = 1.4826 * (log_ratio[outside] - centre).abs().median()
    return outside & (log_ratio <= centre + TYPICAL * width)


def _student(values: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    """Centre, and log-density up to a constant of all values, of a Student t fitted to the members and weighted by
    their share."""
    centre = values[members].median()
    width = (1.4826 * (values[members] - centre).abs().median()).clamp_min(1e-3)
    tails = (1 + ((values - centre) / width).square() / TAILS).log() * (TAILS + 1) / 2
    return centre, members.float().mean().log() - width.log() - tails
