"""From answers to a decision: the paper's rule, and a soft score with a class gate."""

from typing import NamedTuple

import torch
from torch import Tensor

from .. import rules
from ..detection.mixture import Split, calibrate, clearly_outside, fit_split, least_share
from ..report import ClassEvidence
from .models import Verdict

MAX_LOG_ODDS = 8.0
START = 0.1
"""Part of a class that the fit takes for poisoned at first."""


class Decision(NamedTuple):
    """Of N samples."""

    score: Tensor
    """float32 [N]; above 0 = flagged."""
    classes: list[ClassEvidence]
    suspects: dict[int, Tensor]
    """Per class that is not gated but has one of the clearest minorities: bool [N], the minority."""
    credible: Tensor
    """bool [N], the samples that are trusted: of classes that are gated or suspected, the bulk outside."""


def resistance(verdicts: list[Verdict]) -> Tensor:
    """How much better than others a sample withstands our trigger, float32 [N].

    The mean over models of the negative margin, each standardised by median and median absolute deviation; models
    that were taught a sample is ours do not speak about it.
    """
    return _mean([torch.where(v.implanted, torch.nan, _standardised(-v.margin)) for v in verdicts])


def confidence(verdicts: list[Verdict]) -> Tensor:
    """How surely the models answer without our trigger, float32 [N]: backdoors are learned fast, and fit closely."""
    return _mean([_standardised(v.confidence) for v in verdicts])


def unanimous(verdicts: list[Verdict], labels: Tensor, num_classes: int) -> Decision:
    """Section 4.3: a sample is clean when all models answer n. The score counts the models that do not."""
    against = torch.stack([v.margin <= 0 for v in verdicts]).float().sum(0)
    # Samples with equal counts are ordered by their margins, without reaching the next count.
    score = against - 0.5 + 0.4 * resistance(verdicts).tanh()
    classes = []
    for label in range(num_classes):
        share = float((against[labels == label] > 0).float().mean())
        classes.append(
            ClassEvidence(
                label=label,
                size=int((labels == label).sum()),
                evidence=share,
                poisoned=share > 0,
                details={"needed": 0.0},
            )
        )
    return Decision(score, classes, {}, score <= 0)


def by_mixture(
    verdicts: list[Verdict], labels: Tensor, num_classes: int, least: float, explained_classes: int
) -> Decision:
    """Two components per class in resistance and confidence; classes with a clear minority that resists are poisoned.

    Args:
        verdicts: one per model.
        labels: int64 [N].
        least: separation from which a class counts as poisoned.
        explained_classes: how many of the other classes are worth a look at their pixels.
    """
    features = torch.stack([resistance(verdicts), confidence(verdicts)], 1)
    whitened = _whitened(features, labels)
    score = torch.empty(len(labels), device=labels.device)
    members = [labels == label for label in range(num_classes)]
    found = [_split(whitened[member], features[member]) for member in members]
    separations = torch.tensor([split.separation for split, _ in found])
    # Classes with several kinds of content split clearly everywhere in some datasets: there more is asked.
    least = max(least, rules.RESISTING_MORE * float(separations.quantile(0.75)))
    usual = torch.stack([features[member, 0].median() for member in members]).median()
    classes, clear = [], []
    for label, (member, (split, resists)) in enumerate(zip(members, found, strict=True)):
        least_part = least_share(int(member.sum()))
        enough = least_part <= split.share <= 1 - least_part and _is_odd(split, features[member, 0] - usual)
        if enough:
            clear.append(label)
        poisoned = enough and resists > 0 and split.separation >= least
        score[member] = calibrate(split.log_ratio) if poisoned else -MAX_LOG_ODDS + split.log_ratio.tanh()
        classes.append(
            ClassEvidence(
                label=label,
                size=int(member.sum()),
                evidence=split.separation,
                poisoned=poisoned,
                details={"share": split.share, "resistance": resists, "needed": least},
            )
        )
    closed = [classes[label] for label in clear if not classes[label].poisoned]
    suspects, credible = {}, torch.ones_like(labels, dtype=torch.bool)
    for entry in sorted(closed, key=lambda entry: -entry.evidence)[:explained_classes]:
        suspects[entry.label] = torch.zeros_like(labels, dtype=torch.bool)
        split, _ = found[entry.label]
        suspects[entry.label][members[entry.label]] = calibrate(split.log_ratio) > 0
    for entry, member, (split, _) in zip(classes, members, found, strict=True):
        if entry.poisoned or entry.label in suspects:
            credible[member] = clearly_outside(split.log_ratio)
    return Decision(score, classes, suspects, credible)


def _whitened(features: Tensor, labels: Tensor) -> Tensor:
    """Centres each class and whitens by the covariance of the median class, float32 [N,2].

    A class that is poisoned by half would widen a pooled covariance so far that it looks normal.
    """
    centred = torch.empty_like(features)
    covariances = []
    for label in torch.unique(labels):
        member = labels == label
        centred[member] = features[member] - features[member].mean(0)
        covariances.append(centred[member].T @ centred[member] / member.sum())
    variances, directions = torch.linalg.eigh(torch.stack(covariances).median(0).values)
    whitened: Tensor = centred @ (directions * variances.clamp_min(1e-6).rsqrt())
    return whitened


def _split(whitened: Tensor, features: Tensor) -> tuple[Split, float]:
    """The clearest split, whose inside resists more than its outside, and by how much (of the median)."""
    starts = torch.stack([features[:, 0], features[:, 1], features.sum(1)])
    split = fit_split(whitened, starts >= starts.quantile(1 - START, dim=1, keepdim=True))
    resistance = features[:, 0]

    def gap(split: Split) -> float:
        inside = split.log_ratio > 0
        return float(resistance[inside].mean() - resistance[~inside].mean()) if 0 < inside.sum() < len(inside) else 0.0

    return max(((option, gap(option)) for option in (split, split.swapped())), key=lambda option: option[1])


def _is_odd(split: Split, resistance: Tensor) -> bool:
    """Whether it is the inside that differs from what other classes do; resistance [n] is relative to theirs.

    A minority is odd. A majority that resists may be poison, or the class, while the others yield more than usual.
    """
    inside = split.log_ratio > 0
    return split.share <= 0.5 or bool(resistance[inside].mean().abs() > resistance[~inside].mean().abs())


def _standardised(values: Tensor) -> Tensor:
    centred = values - values.median()
    return centred / (1.4826 * centred.abs().median()).clamp_min(1e-6)


def _mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).nanmean(0).nan_to_num(0.0)
