"""The ways in which a class could be poisoned, and which of them the gate accepts."""

import dataclasses
from typing import Literal

from torch import Tensor

from .config import DetectionConfig
from .features import TrainingRecord
from .gate import MOSTLY, contradicted, evidence
from .mixture import Split, fit_split, least_share

MOST_MISLABELLED = 0.6
"""Where more of a class seems mislabelled, it is the verifier that is wrong."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One way in which a class could be poisoned."""

    split: Split
    kind: Literal["backdoor", "mislabelled"]
    evidence: float
    contradicted: float
    """Fraction of the inside that the verifying classifier puts into other classes."""

    def needed(self, config: DetectionConfig) -> float:
        """The least evidence with which the class counts as poisoned."""
        return config.cluster_evidence if self.kind == "backdoor" else config.contradiction_evidence

    def accepted(self, config: DetectionConfig) -> bool:
        if self.contradicted < MOSTLY or self.split.share < least_share(len(self.split.log_ratio)):
            return False
        if self.kind == "mislabelled" and self.split.share > MOST_MISLABELLED:
            return False
        return self.evidence >= self.needed(config)


def find_hypotheses(
    record: TrainingRecord,
    members: list[Tensor],
    clusters: list[Split],
    seams: list[Split | None],
    contradiction: Tensor,
    probabilities: Tensor,
) -> list[list[Hypothesis]]:
    """For each class: a learned minority (either side), a part whose labels everything contradicts, joined images."""
    total = record.losses.sum(1)
    found: list[list[tuple[Literal["backdoor", "mislabelled"], Split]]] = []
    for member, cluster, seam in zip(members, clusters, seams, strict=True):
        hard = total[member] >= total[member].quantile(0.8)
        contradictory = fit_split(contradiction[member], hard[None])
        found.append([("backdoor", cluster), ("backdoor", cluster.swapped()), ("mislabelled", contradictory)])
        if seam is not None:
            found[-1].append(("backdoor", seam))
    return [
        [weigh(split, kind, probabilities[member], label) for kind, split in options]
        for label, (member, options) in enumerate(zip(members, found, strict=True))
    ]


def weigh(split: Split, kind: Literal["backdoor", "mislabelled"], probabilities: Tensor, label: int) -> Hypothesis:
    """What a verifying classifier, softmax float32 [n,K], says about the inside of a class's split."""
    return Hypothesis(
        split=split,
        kind=kind,
        evidence=evidence(split, probabilities, label),
        contradicted=contradicted(probabilities[split.log_ratio > 0], label),
    )


def best_of(options: list[Hypothesis], config: DetectionConfig) -> Hypothesis | None:
    """The accepted one with most evidence."""
    return max((o for o in options if o.accepted(config)), key=lambda option: option.evidence, default=None)


def worth_a_look(clusters: list[Split], hypotheses: list[list[Hypothesis]], count: int) -> list[int]:
    """The classes with the clearest clusters, and those whose clusters hold most foreign content."""
    labels = range(len(clusters))
    clear = sorted(labels, key=lambda label: -clusters[label].separation)[:count]
    foreign = sorted(labels, key=lambda label: -hypotheses[label][0].evidence)[:count]
    return list(dict.fromkeys(clear + foreign))
