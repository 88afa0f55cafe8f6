"""Component 5 of the PD detector as we do it: two components per class, a gate for classes, an automatic threshold."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..context import Context
from ..report import ClassEvidence
from .asked import splits_of
from .choice import Choice
from .config import DetectionConfig
from .detected import Detection, Learned
from .doubt import MAX_LOG_ODDS, contradictions, doubt, log_odds_against
from .hypotheses import Hypothesis, best_of, find_hypotheses, needed_evidence, worth_a_look
from .mixture import Split, calibrate, fit_split, minority_split, whiten
from .seams import seam_splits
from .verdicts import answers, verdicts
from .verifier import Verifier, verify_again

FURTHER_VERIFIERS = 2
"""Measured, WaNet 5 % of CIFAR-10, two seeds: AP .92 and .91 after one, .94 and .92 after two."""
CONFIRMED = -0.1


class _Judged(NamedTuple):
    """What a verifier says in the end."""

    best: list[Hypothesis | None]
    """Of each class, what the gate has accepted."""
    taught: Verifier
    probabilities: Tensor
    """float32 [N,K]."""


def detect_by_mixture(learned: Learned, num_classes: int, config: DetectionConfig, context: Context) -> Detection:
    """Looks for the classes of which a part stands out, and scores each sample by how likely it is of that part."""
    learned = learned._replace(choice=_with_features(learned, config))
    x, y, record, choice = learned.images, learned.labels, learned.record, learned.choice
    members = [y == label for label in range(num_classes)]
    activations = whiten(record.activations, y)
    clusters = [minority_split(activations[member], record.losses[member]) for member in members]
    seams = seam_splits(x, members)
    asked = splits_of(record, activations, y, members, config)
    apart = [
        [*(split[label] for split in asked.values()), *([] if seam is None else [seam])]
        for label, seam in enumerate(seams)
    ]
    verifier, probabilities = verdicts(learned, members, clusters, apart, context)
    contradiction = contradictions(record, activations, probabilities, y)
    hypotheses = find_hypotheses(record, members, clusters, seams, asked, contradiction, probabilities)
    needed = needed_evidence(hypotheses, config)
    best = [best_of(options, bars, config) for options, bars in zip(hypotheses, needed, strict=True)]
    judged = _confirm(learned, members, activations, _Judged(best, verifier, probabilities), context)
    doubted = doubt(record, judged.probabilities, y)
    score, kind = _scores(members, judged, doubted)
    return Detection(
        score=score, threshold=0.0, flagged=score > 0, kind=kind,
        classes=[
            _entry(label, found, options, bars, cluster, config)
            for label, (found, options, bars, cluster) in enumerate(
                zip(judged.best, hypotheses, needed, clusters, strict=True)
            )
        ],
        suspects=_suspects(members, judged.best, clusters, hypotheses, config),
        verifier=verifier, taught=judged.taught, probabilities=judged.probabilities, doubt=doubted,
        activations=activations, model=learned.model, choice=choice,
    )  # fmt: skip


def _with_features(learned: Learned, config: DetectionConfig) -> Choice:
    choice, features = learned.choice, learned.features
    if features is None:
        return choice
    whose = "that were given" if config.features is None else config.features
    note = f"verifier: a linear classifier on {features.shape[1]} frozen features {whose}"
    return dataclasses.replace(choice, features=config.features, notes=[*choice.notes, note])


def _confirm(
    learned: Learned, members: list[Tensor], activations: Tensor, judged: _Judged, context: Context
) -> _Judged:
    """What is left of mislabelled parts once a verifier was taught their classes.

    Clean samples that are hard enough to look mislabelled are confirmed by a verifier that is taught them, each time
    with more of them than before; so its last verdict counts alone.
    """
    x, y, choice = learned.images, learned.labels, learned.choice
    best, taught, probabilities = list(judged.best), judged.taught, judged.probabilities
    for _ in range(FURTHER_VERIFIERS if _mislabelled(best) else 0):
        credible = torch.ones_like(y, dtype=torch.bool)
        for member, found in zip(members, best, strict=True):
            if found is not None:
                credible[member] = found.split.log_ratio <= 0
        with context.stage("verify again") as part:
            taught = verify_again(taught, x, y, credible, choice, part)
            probabilities = answers(learned, taught, part)
        contradiction = contradictions(learned.record, activations, probabilities, y)
        for label, found in _mislabelled(best).items():
            split = fit_split(contradiction[members[label]], (found.split.log_ratio > 0)[None])
            best[label] = dataclasses.replace(found, split=split)
    return _Judged(best, taught, probabilities)


def _mislabelled(best: list[Hypothesis | None]) -> dict[int, Hypothesis]:
    return {label: found for label, found in enumerate(best) if found is not None and found.kind == "mislabelled"}


def _scores(members: list[Tensor], judged: _Judged, doubted: Tensor) -> tuple[Tensor, npt.NDArray[np.str_]]:
    """Of each sample, float32 [N], and what a flag would mean, str [N]."""
    score = torch.empty_like(doubted)
    kind = np.full(len(doubted), "backdoor", dtype="<U11")
    for label, (member, found) in enumerate(zip(members, judged.best, strict=True)):
        if found is None:
            # No part of the class stands out, so its log-ratios mean nothing; samples of an attack that was not learned
            # are mislabelled ones. At half the weight they stay below all that is flagged.
            score[member] = -MAX_LOG_ODDS + doubted[member] / 2
            continue
        score[member] = calibrate(found.split.log_ratio)
        if found.kind == "mislabelled":
            # No sample is called mislabelled whose label the verifier confirms.
            confirmed = member & (log_odds_against(judged.probabilities[:, label]) < 0)
            score[confirmed] = score[confirmed].clamp_max(CONFIRMED)
        kind[member.cpu().numpy()] = found.kind
    return score, kind


def _suspects(
    members: list[Tensor],
    best: list[Hypothesis | None],
    clusters: list[Split],
    hypotheses: list[list[Hypothesis]],
    config: DetectionConfig,
) -> dict[int, Tensor]:
    """See `Detection.suspects`."""
    suspects: dict[int, Tensor] = {}
    for label in dict.fromkeys([*_mislabelled(best), *worth_a_look(clusters, hypotheses, config.explained_classes)]):
        found = best[label]
        if found is None or found.kind == "mislabelled":
            suspects[label] = torch.zeros_like(members[label])
            suspects[label][members[label]] = calibrate(clusters[label].log_ratio) > 0
    return suspects


def _entry(
    label: int,
    found: Hypothesis | None,
    options: list[Hypothesis],
    needed: dict[str, float],
    cluster: Split,
    config: DetectionConfig,
) -> ClassEvidence:
    """What the report says of a class: of what was accepted, or else came nearest."""
    shown = found or max(options, key=lambda option: option.evidence)
    size, bar = len(cluster.log_ratio), max(shown.floor(config), needed.get(shown.source, 0.0))
    return ClassEvidence(
        label=label,
        size=size,
        evidence=shown.evidence,
        poisoned=found is not None,
        # No minority of so few samples is large enough to be a cluster.
        status="not assessable" if size < 2 * rules.LEAST_CLUSTER else "clean",
        details={
            **({"needed": bar} if math.isfinite(bar) else {}),
            "separation": shown.split.separation,
            "share": shown.split.share,
            "cluster separation": cluster.separation,
        },
    )
