"""What verifiers say about the samples that they have not learned."""

import torch
from torch import Tensor

from .. import rules
from ..context import Context
from ..training.probe import fit_linear
from .detected import Learned
from .features import TrainingRecord
from .gate import contradicted, evidence
from .mixture import Split, clearly_outside
from .verifier import Verifier, opinion, softened, verify

KEPT_SHARE = 0.65
"""The verifying classifier trains on this part of a class's credible side, what was learned most easily."""
_ALL = slice(None)


def verdicts(
    learned: Learned,
    members: list[Tensor],
    clusters: list[Split],
    apart: list[list[Split]],
    context: Context,
) -> tuple[Verifier, Tensor]:
    """The verifier, and float32 [N,K]: for every class, the opinion of one that has not learned its suspicious side.

    No classifier learns what is inside of further splits, `apart` of each class. A first one leaves every minority out.
    Where a class is split about evenly there is no telling which side is clean. If it is the one that was left out, the
    first has not seen what the class looks like, and contradicts most of it: then a second one learns the minority
    instead, and the class is judged by the one that finds more foreign content on the side that it has not seen.
    """
    x, y, record, choice = learned.images, learned.labels, learned.record, learned.choice
    whole = torch.ones_like(y, dtype=torch.bool)
    for member, splits in zip(members, apart, strict=True):
        for split in splits:
            whole[member] &= split.log_ratio <= 0
    with context.stage("verify") as part:
        verifier = verify(x, y, whole & _trusted(record, members, clusters), len(members), choice, part)
        first = answers(learned, verifier, part)
    doubtful = [
        cluster.share > rules.CLEAR_MINORITY
        and contradicted(first[member][cluster.log_ratio > 0], label) >= rules.LEAST_CONTRADICTED
        for label, (member, cluster) in enumerate(zip(members, clusters, strict=True))
    ]
    if not any(doubtful):
        return verifier, first
    turned = [split.swapped() if swap else split for split, swap in zip(clusters, doubtful, strict=True)]
    with context.stage("verify") as part:
        other = verify(x, y, whole & _trusted(record, members, turned), len(members), choice, part)
        for label, member in enumerate(members):
            if doubtful[label]:
                second = answers(learned, other, part, member)
                if evidence(turned[label], second, label) > evidence(clusters[label], first[member], label):
                    first[member] = second
    return verifier, first


def answers(learned: Learned, verifier: Verifier, context: Context, chosen: Tensor | slice = _ALL) -> Tensor:
    """What is believed of all samples, or of chosen ones: softmax, float32 [n,K].

    A verifier says it, or, where there are features, a linear classifier on them that has learned the same samples.
    """
    if learned.features is None:
        return opinion(verifier, learned.images[chosen], learned.choice)
    known, num_classes = verifier.learned, verifier.model.head.out_features
    head = fit_linear(learned.features[known], learned.labels[known], num_classes, context.seed)
    return softened(head(learned.features[chosen]))


def _trusted(record: TrainingRecord, members: list[Tensor], splits: list[Split]) -> Tensor:
    """bool [N]: outside the split, the samples that were learned most easily."""
    total = record.losses.sum(1)
    trusted = torch.zeros(len(total), dtype=torch.bool, device=total.device)
    for member, split in zip(members, splits, strict=True):
        outside = clearly_outside(split.log_ratio)
        losses = total[member]
        if outside.any():
            trusted[member] = outside & (losses <= losses[outside].quantile(KEPT_SHARE))
    return trusted
