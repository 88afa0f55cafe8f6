"""The ways in which a class could be poisoned, and which of them the gate accepts."""

import dataclasses
from typing import Literal

from torch import Tensor

from .. import rules
from .config import DetectionConfig
from .features import TrainingRecord
from .gate import contradicted, evidence, outstanding
from .mixture import Split, fit_split, least_share

Kind = Literal["backdoor", "mislabelled"]
CLUSTER, CONTRADICTION, SEAM = "cluster", "contradiction", "seam"
"""Where the package's own hypotheses come from; others bear the name of a detector."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One way in which a class could be poisoned."""

    split: Split
    source: str
    """What found the split: `CLUSTER`, `CONTRADICTION`, `SEAM`, or a detector that was asked."""
    evidence: float
    contradicted: float
    """Fraction of the inside that the verifying classifier puts into other classes."""

    @property
    def kind(self) -> Kind:
        """What a flag means."""
        return "mislabelled" if self.source == CONTRADICTION else "backdoor"

    @property
    def joined(self) -> bool:
        """Whether the inside are joined images: then the pixels speak, too."""
        return self.source == SEAM

    def floor(self, config: DetectionConfig) -> float:
        """The least evidence with which a class of any dataset counts as poisoned."""
        return config.cluster_evidence if self.kind == "backdoor" else config.contradiction_evidence

    @property
    def possible(self) -> bool:
        """Whether the inside is a minority, but no mere outliers, of which a verifier contradicts most."""
        return (
            least_share(len(self.split.log_ratio)) <= self.split.share <= rules.LARGEST_MINORITY
            and self.contradicted >= rules.LEAST_CONTRADICTED
        )


def find_hypotheses(
    record: TrainingRecord,
    members: list[Tensor],
    clusters: list[Split],
    seams: list[Split | None],
    asked: dict[str, list[Split]],
    contradiction: Tensor,
    probabilities: Tensor,
) -> list[list[Hypothesis]]:
    """For each class: a learned minority, a part whose labels everything contradicts, joined images, and what detectors
    say that were asked (see `asked.splits_of`)."""
    total = record.losses.sum(1)
    found: list[list[Hypothesis]] = []
    for label, (member, cluster, seam) in enumerate(zip(members, clusters, seams, strict=True)):
        hard = total[member] >= total[member].quantile(0.8)
        options = {CLUSTER: cluster, CONTRADICTION: fit_split(contradiction[member], hard[None])}
        options |= {name: splits[label] for name, splits in asked.items()}
        if seam is not None:
            options[SEAM] = seam
        found.append([weigh(split, source, probabilities[member], label) for source, split in options.items()])
    return found


def weigh(split: Split, source: str, probabilities: Tensor, label: int) -> Hypothesis:
    """What a verifying classifier, softmax float32 [n,K], says about the inside of a class's split."""
    return Hypothesis(
        split=split,
        source=source,
        evidence=evidence(split, probabilities, label),
        contradicted=contradicted(probabilities[split.log_ratio > 0], label),
    )


def needed_evidence(hypotheses: list[list[Hypothesis]], config: DetectionConfig) -> list[dict[str, float]]:
    """By source, the evidence with which each class counts as poisoned: more than other classes lead to expect.

    Classes that reach the least one themselves are no measure for others: several may be poisoned. Joined images need
    no comparison.
    """
    sources = dict.fromkeys(option.source for options in hypotheses for option in options if not option.joined)
    rate = config.false_alarms / (len(sources) * len(hypotheses))
    needed: list[dict[str, float]] = []
    for label in range(len(hypotheses)):
        needed.append({})
        for source in sources:
            others = [
                option
                for other, options in enumerate(hypotheses)
                for option in options
                if other != label and option.source == source
            ]
            usual = [option.evidence for option in others if option.evidence < option.floor(config)]
            needed[-1][source] = outstanding(usual, rate)
    return needed


def best_of(options: list[Hypothesis], needed: dict[str, float], config: DetectionConfig) -> Hypothesis | None:
    """The one that is accepted, with most evidence."""
    accepted = (
        option
        for option in options
        if option.possible
        and option.evidence >= option.floor(config)
        and option.evidence >= needed.get(option.source, 0.0)
    )
    return max(accepted, key=lambda option: option.evidence, default=None)


def worth_a_look(clusters: list[Split], hypotheses: list[list[Hypothesis]], count: int) -> list[int]:
    """The classes with the clearest clusters, and those whose clusters hold most foreign content."""
    labels = range(len(clusters))
    clear = sorted(labels, key=lambda label: -clusters[label].separation)[:count]
    foreign = sorted(labels, key=lambda label: -hypotheses[label][0].evidence)[:count]
    return list(dict.fromkeys(clear + foreign))
