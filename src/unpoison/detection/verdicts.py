"""What verifiers say about the samples that they have not learned."""

import torch
from torch import Tensor

from .. import rules
from ..context import Context
from .detected import Learned
from .features import TrainingRecord
from .gate import contradicted, evidence
from .mixture import Split, clearly_outside
from .verifier import Verifier, opinion, verify

KEPT_SHARE = 0.65
"""The verifying classifier trains on this part of a class's credible side, what was learned most easily."""


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
        first = opinion(verifier, x, choice)
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
                second = opinion(other, x[member], choice)
                if evidence(turned[label], second, label) > evidence(clusters[label], first[member], label):
                    first[member] = second
    return verifier, first


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
