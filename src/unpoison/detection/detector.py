"""The PD detector of PD-AutoR (section 3.1): train on the suspect data, fuse features, find outliers."""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..progress import Progress
from ..report import ClassEvidence
from ..training.backbones import Backbone, create_backbone
from ..training.loop import on_device, predict, train
from .choice import Choice, choose
from .config import DetectionConfig
from .features import TrainingRecord, fuse, record_training
from .gate import contradicted, evidence
from .mixture import Split, calibrate, clearly_outside, fit_split, least_share, minority_split, whiten
from .seams import seam_splits
from .svd import svd_scores, threshold_at

KEPT_SHARE = 0.65
"""The verifying classifier trains on this part of a class's credible side, what was learned most easily."""
CLEAR_MINORITY = 0.3
"""A smaller side of a class is the suspicious one; above this share either may be."""
CONTRADICTION_WEIGHT = 3.0
"""Weight of the verifying classifier's verdict against the other features, each of unit spread."""
MAX_LOG_ODDS = 8.0
MOSTLY = 0.5
MOST_MISLABELLED = 0.6
"""Where more of a class seems mislabelled, it is the verifier that is wrong."""
VERIFIER_EPOCHS = 2 / 3
"""Of M's: the verifier need not learn every sample by heart."""
FURTHER_VERIFIERS = 2
"""Measured, WaNet 5 % of CIFAR-10, two seeds: AP .92 and .91 after one, .94 and .92 after two."""
LEAST_LOG_PROBABILITY = -20.0
CONFIRMED = -0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection:
    """What the detector found, on the device of the computation."""

    score: Tensor
    """float32 [N]; samples above `threshold` are flagged."""
    threshold: float
    flagged: Tensor
    """bool [N]."""
    kind: npt.NDArray[np.str_]
    """str [N]: what a flag would mean, see `Report.kind`."""
    classes: list[ClassEvidence]
    model: Backbone
    """M, trained on the suspect data: it obeys the trigger."""
    suspects: dict[int, Tensor]
    """Per class that no learned cluster gates but whose pixels are worth a look: bool [N], the minority inside. A
    backdoor that is learned late may look mislabelled; a trigger in the pixels of its cluster tells."""
    verifier: Backbone | None
    """A classifier that has learned only the most credible samples outside of all suspects; None for "svd"."""
    probabilities: Tensor | None
    """float32 [N,K], the verdict of such classifiers on every sample; None for "svd"."""
    choice: Choice


class Learned(NamedTuple):
    """The network M and what its training on the suspect data showed."""

    images: Tensor
    """uint8 [N,H,W,C], on the device of the computation, like all that follows."""
    labels: Tensor
    """int64 [N]."""
    model: Backbone
    choice: Choice
    record: TrainingRecord


def detect(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: DetectionConfig,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
) -> Detection:
    """Scores and flags uint8 images [N,H,W,C] with labels int64 [N]."""
    learned = learn(images, labels, num_classes, config, device=device, seed=seed, progress=progress)
    return judge(learned, num_classes, config, seed=seed, progress=progress)


def learn(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: DetectionConfig,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
) -> Learned:
    """Components 1 to 3: trains M on uint8 images [N,H,W,C] with labels int64 [N] and keeps the features."""
    with progress.stage("choose"):
        choice = choose(config, images, labels, num_classes, device, seed)
    x, y = on_device(images, device), torch.from_numpy(labels).to(device)
    torch.manual_seed(seed)
    model = create_backbone(choice.backbone, images.shape[3], num_classes, choice.width)
    with progress.stage("train on suspect data") as stage:
        record = record_training(model, x, y, choice.training, seed, stage)
    return Learned(x, y, model, choice, record)


def judge(learned: Learned, num_classes: int, config: DetectionConfig, *, seed: int, progress: Progress) -> Detection:
    """Components 4 and 5: finds outliers among the features of what `learn` has trained."""
    x, y, model, choice, record = learned
    common: dict[str, Any] = {"model": model, "choice": choice}
    if config.outliers == "svd":
        return _detect_by_svd(record, y, num_classes, config, common)
    return _detect_by_mixture(record, x, y, num_classes, config, choice, seed, progress, common)


def _detect_by_svd(
    record: TrainingRecord, y: Tensor, num_classes: int, config: DetectionConfig, common: dict[str, Any]
) -> Detection:
    """The paper's algorithm: fused feature, squared projection, the top 1.5 ε N samples (Tran et al., 2018)."""
    score = svd_scores(fuse(record.activations, record.losses, config.loss_weight), y)
    threshold = threshold_at(score, config.poison_rate)
    flagged = score > threshold
    classes = [
        ClassEvidence(
            label=label,
            size=int((y == label).sum()),
            evidence=float(score[y == label].max()),
            poisoned=bool(flagged[y == label].any()),
            details={"needed": threshold},
        )
        for label in range(num_classes)
    ]
    kind = np.full(len(y), "backdoor")
    return Detection(
        score=score, threshold=threshold, flagged=flagged, kind=kind, classes=classes, suspects={}, verifier=None,
        probabilities=None,
        **common,
    )  # fmt: skip


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


def _detect_by_mixture(
    record: TrainingRecord,
    x: Tensor,
    y: Tensor,
    num_classes: int,
    config: DetectionConfig,
    choice: Choice,
    seed: int,
    progress: Progress,
    common: dict[str, Any],
) -> Detection:
    members = [y == label for label in range(num_classes)]
    activations = whiten(record.activations, y)
    clusters = [minority_split(activations[member], record.losses[member]) for member in members]
    seams = seam_splits(x, members)
    verifier, probabilities = _verdicts(record, x, y, members, clusters, seams, choice, seed, progress)
    contradiction = _contradictions(record, activations, probabilities, y)
    hypotheses = _hypotheses(record, members, clusters, seams, contradiction, probabilities)
    best = [_best(options, config) for options in hypotheses]

    suspected = [label for label, found in enumerate(best) if found is not None and found.kind == "mislabelled"]
    for _ in range(FURTHER_VERIFIERS if suspected else 0):
        # Clean samples that are hard enough to look mislabelled are confirmed by a verifier that trains with them, and
        # each trains with more of them than the one before; so the last one's verdict counts alone.
        credible = torch.ones_like(y, dtype=torch.bool)
        for member, found in zip(members, best, strict=True):
            if found is not None:
                credible[member] = found.split.log_ratio <= 0
        with progress.stage("verify again") as stage:
            _, probabilities = verify(x, y, credible, num_classes, choice, seed, stage)
        contradiction = _contradictions(record, activations, probabilities, y)
        for label in suspected:
            found = best[label]
            assert found is not None
            split = fit_split(contradiction[members[label]], (found.split.log_ratio > 0)[None])
            best[label] = dataclasses.replace(found, split=split)

    score, doubt = torch.empty(len(y), device=y.device), _doubt(record, probabilities, y)
    kind = np.full(len(y), "backdoor", dtype="<U11")
    classes: list[ClassEvidence] = []
    suspects: dict[int, Tensor] = {}
    for label in dict.fromkeys(suspected + _worth_a_look(clusters, hypotheses, config.explained_classes)):
        found = best[label]
        if found is None or found.kind == "mislabelled":
            suspects[label] = torch.zeros_like(y, dtype=torch.bool)
            suspects[label][members[label]] = calibrate(clusters[label].log_ratio) > 0
    for label, (member, found) in enumerate(zip(members, best, strict=True)):
        shown = found or max(hypotheses[label], key=lambda option: option.evidence)
        if found is None:
            # No part of the class stands out, so its log-ratios mean nothing; samples of an attack that was not learned
            # are mislabelled ones. At half the weight they stay below all that is flagged.
            score[member] = -MAX_LOG_ODDS + doubt[member] / 2
        else:
            score[member] = calibrate(found.split.log_ratio)
            if found.kind == "mislabelled":
                # No sample is called mislabelled whose label the verifier confirms.
                confirmed = member & (log_odds_against(probabilities[:, label]) < 0)
                score[confirmed] = score[confirmed].clamp_max(CONFIRMED)
            kind[member.cpu().numpy()] = found.kind
        classes.append(
            ClassEvidence(
                label=label,
                size=int(member.sum()),
                evidence=shown.evidence,
                poisoned=found is not None,
                details={
                    "needed": shown.needed(config),
                    "separation": shown.split.separation,
                    "share": shown.split.share,
                    "cluster separation": clusters[label].separation,
                },
            )
        )
    return Detection(
        score=score, threshold=0.0, flagged=score > 0, kind=kind, classes=classes, suspects=suspects,
        verifier=verifier, probabilities=probabilities, **common,
    )  # fmt: skip


def _verdicts(
    record: TrainingRecord,
    x: Tensor,
    y: Tensor,
    members: list[Tensor],
    clusters: list[Split],
    seams: list[Split | None],
    choice: Choice,
    seed: int,
    progress: Progress,
) -> tuple[Backbone, Tensor]:
    """The verifier, and float32 [N,K]: for every class, the opinion of one that has not learned its suspicious side.

    No classifier learns joined images. A first one leaves every minority out. Where a class is split about evenly there
    is no telling which side is clean, so a second one learns the minority instead; the class is judged by the one that
    finds more foreign content on the side that it has not seen.
    """
    whole = torch.ones_like(y, dtype=torch.bool)
    for member, seam in zip(members, seams, strict=True):
        if seam is not None:
            whole[member] = seam.log_ratio <= 0
    with progress.stage("verify") as stage:
        verifier, first = verify(x, y, whole & _trusted(record, members, clusters), len(members), choice, seed, stage)
    even = [cluster.share > CLEAR_MINORITY for cluster in clusters]
    if not any(even):
        return verifier, first
    turned = [split.swapped() if swap else split for split, swap in zip(clusters, even, strict=True)]
    with progress.stage("verify") as stage:
        _, second = verify(x, y, whole & _trusted(record, members, turned), len(members), choice, seed, stage)
    for label, (member, split, other, swap) in enumerate(zip(members, clusters, turned, even, strict=True)):
        if swap and evidence(other, second[member], label) > evidence(split, first[member], label):
            first[member] = second[member]
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


def verify(
    x: Tensor, y: Tensor, credible: Tensor, num_classes: int, choice: Choice, seed: int, stage: Any
) -> tuple[Backbone, Tensor]:
    """A classifier that was trained on the credible samples (bool [N]) alone, and its softmax [N,K] over all."""
    torch.manual_seed(seed + 1)
    model = create_backbone(choice.backbone, x.shape[3], num_classes, choice.width)
    training = dataclasses.replace(choice.training, epochs=math.ceil(choice.training.epochs * VERIFIER_EPOCHS))
    for epoch, _ in train(model, x[credible], y[credible], training, seed + 1):
        stage.update(epoch / training.epochs)
    logits = predict(model, x).logits
    if training.flip:
        logits = (logits + predict(model, x.flip(2)).logits) / 2
    return model, logits.log_softmax(1).clamp_min(LEAST_LOG_PROBABILITY).exp()


def _contradictions(record: TrainingRecord, activations: Tensor, probabilities: Tensor, y: Tensor) -> Tensor:
    """E1 ‖ loss trajectory ‖ log-odds against the label, each block scaled by its own spread."""
    trajectory, verdict = _against_label(record, probabilities, y)
    return torch.cat(
        [activations, trajectory / trajectory.std(0).clamp_min(1e-3), CONTRADICTION_WEIGHT * whiten(verdict, y)], 1
    )


def _doubt(record: TrainingRecord, probabilities: Tensor, y: Tensor) -> Tensor:
    """How little a sample's label is believed, float32 [N] within ±`MAX_LOG_ODDS`, comparable between classes.

    The log-odds against it, half from the verifier and half from M, over whose epochs they are averaged: wrong labels
    are learned last.
    """
    trajectory, verdict = _against_label(record, probabilities, y)
    return (trajectory.mean(1) + verdict[:, 0]) / 2


def _against_label(record: TrainingRecord, probabilities: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Log-odds against every label: M's after each epoch, float32 [N,d2], and the verifier's, [N,1].

    Not raw losses: those have tails that a few outliers would dominate.
    """
    return log_odds_against(torch.exp(-record.losses)), log_odds_against(probabilities.gather(1, y[:, None]))


def log_odds_against(probability: Tensor) -> Tensor:
    """log((1 - p) / p), clipped."""
    return -torch.logit(probability.float(), eps=1e-6).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)


def _hypotheses(
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
        [
            Hypothesis(
                split=split,
                kind=kind,
                evidence=evidence(split, probabilities[member], label),
                contradicted=contradicted(probabilities[member][split.log_ratio > 0], label),
            )
            for kind, split in options
        ]
        for label, (member, options) in enumerate(zip(members, found, strict=True))
    ]


def _best(options: list[Hypothesis], config: DetectionConfig) -> Hypothesis | None:
    return max((o for o in options if o.accepted(config)), key=lambda option: option.evidence, default=None)


def _worth_a_look(clusters: list[Split], hypotheses: list[list[Hypothesis]], count: int) -> list[int]:
    """The classes with the clearest clusters, and those whose clusters hold most foreign content."""
    labels = range(len(clusters))
    clear = sorted(labels, key=lambda label: -clusters[label].separation)[:count]
    foreign = sorted(labels, key=lambda label: -hypotheses[label][0].evidence)[:count]
    return list(dict.fromkeys(clear + foreign))
