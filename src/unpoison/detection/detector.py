"""The PD detector of PD-AutoR (section 3.1): train on the suspect data, fuse features, find outliers."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..context import Context
from ..report import ClassEvidence
from ..training.backbones import Backbone
from ..training.fit import new_network
from ..training.loop import on_device
from .choice import Choice, choose
from .config import DetectionConfig, NetworkConfig
from .doubt import MAX_LOG_ODDS, contradictions, doubt, log_odds_against
from .features import TrainingRecord, fuse, record_training
from .hypotheses import best_of, find_hypotheses, needed_evidence, worth_a_look
from .mixture import calibrate, fit_split, minority_split, whiten
from .seams import seam_splits
from .svd import svd_scores, threshold_at
from .verifier import Verifier, opinion, verdicts, verify_again

FURTHER_VERIFIERS = 2
"""Measured, WaNet 5 % of CIFAR-10, two seeds: AP .92 and .91 after one, .94 and .92 after two."""
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
    verifier: Verifier | None
    """A classifier that has learned only the most credible samples outside of all suspects; None for "svd"."""
    taught: Verifier | None
    """The same, or what became of it once it was taught further samples; None for "svd"."""
    probabilities: Tensor | None
    """float32 [N,K], the verdict of such classifiers on every sample; None for "svd"."""
    doubt: Tensor | None
    """float32 [N], how little each label is believed, see `unpoison.detection.doubt`; None for "svd"."""
    activations: Tensor | None
    """float32 [N,D], E1 whitened within the classes; None for "svd"."""
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
    context: Context,
) -> Detection:
    """Scores and flags uint8 images [N,H,W,C] with labels int64 [N]."""
    learned = learn(images, labels, num_classes, config, context)
    return judge(learned, num_classes, config, context)


def learn(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: NetworkConfig,
    context: Context,
) -> Learned:
    """Components 1 to 3: trains M on uint8 images [N,H,W,C] with labels int64 [N] and keeps the features."""
    with context.stage("choose"):
        choice = choose(config, images, labels, num_classes, context)
    x, y = on_device(images, context.device), torch.from_numpy(labels).to(context.device)
    model = new_network(choice, images.shape[3], num_classes, context.seed)
    with context.stage("train on suspect data") as part:
        record = record_training(model, x, y, choice.training, part)
    return Learned(x, y, model, choice, record)


def judge(learned: Learned, num_classes: int, config: DetectionConfig, context: Context) -> Detection:
    """Components 4 and 5: finds outliers among the features of what `learn` has trained."""
    x, y, model, choice, record = learned
    common: dict[str, Any] = {"model": model, "choice": choice}
    if config.outliers == "svd":
        return _detect_by_svd(record, y, num_classes, config, common)
    return _detect_by_mixture(record, x, y, num_classes, config, choice, context, common)


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
        taught=None, probabilities=None, doubt=None, activations=None,
        **common,
    )  # fmt: skip


def _detect_by_mixture(
    record: TrainingRecord,
    x: Tensor,
    y: Tensor,
    num_classes: int,
    config: DetectionConfig,
    choice: Choice,
    context: Context,
    common: dict[str, Any],
) -> Detection:
    members = [y == label for label in range(num_classes)]
    activations = whiten(record.activations, y)
    clusters = [minority_split(activations[member], record.losses[member]) for member in members]
    seams = seam_splits(x, members)
    verifier, probabilities = verdicts(record, x, y, members, clusters, seams, choice, context)
    contradiction = contradictions(record, activations, probabilities, y)
    hypotheses = find_hypotheses(record, members, clusters, seams, contradiction, probabilities)
    needed = needed_evidence(hypotheses, config)
    best = [best_of(options, bars, config) for options, bars in zip(hypotheses, needed, strict=True)]

    suspected = [label for label, found in enumerate(best) if found is not None and found.kind == "mislabelled"]
    taught = verifier
    for _ in range(FURTHER_VERIFIERS if suspected else 0):
        # Clean samples that are hard enough to look mislabelled are confirmed by a verifier that is taught them, each
        # time with more of them than before; so its last verdict counts alone.
        credible = torch.ones_like(y, dtype=torch.bool)
        for member, found in zip(members, best, strict=True):
            if found is not None:
                credible[member] = found.split.log_ratio <= 0
        with context.stage("verify again") as part:
            taught = verify_again(taught, x, y, credible, choice, part)
            probabilities = opinion(taught, x, choice)
        contradiction = contradictions(record, activations, probabilities, y)
        for label in suspected:
            found = best[label]
            assert found is not None
            split = fit_split(contradiction[members[label]], (found.split.log_ratio > 0)[None])
            best[label] = dataclasses.replace(found, split=split)

    score = torch.empty(len(y), device=y.device)
    doubted = doubt(record, probabilities, y)
    kind = np.full(len(y), "backdoor", dtype="<U11")
    classes: list[ClassEvidence] = []
    suspects: dict[int, Tensor] = {}
    for label in dict.fromkeys(suspected + worth_a_look(clusters, hypotheses, config.explained_classes)):
        found = best[label]
        if found is None or found.kind == "mislabelled":
            suspects[label] = torch.zeros_like(y, dtype=torch.bool)
            suspects[label][members[label]] = calibrate(clusters[label].log_ratio) > 0
    for label, (member, found) in enumerate(zip(members, best, strict=True)):
        shown = found or max(hypotheses[label], key=lambda option: option.evidence)
        if found is None:
            # No part of the class stands out, so its log-ratios mean nothing; samples of an attack that was not learned
            # are mislabelled ones. At half the weight they stay below all that is flagged.
            score[member] = -MAX_LOG_ODDS + doubted[member] / 2
        else:
            score[member] = calibrate(found.split.log_ratio)
            if found.kind == "mislabelled":
                # No sample is called mislabelled whose label the verifier confirms.
                confirmed = member & (log_odds_against(probabilities[:, label]) < 0)
                score[confirmed] = score[confirmed].clamp_max(CONFIRMED)
            kind[member.cpu().numpy()] = found.kind
        size, bar = int(member.sum()), max(shown.floor(config), 0.0 if shown.joined else needed[label][shown.kind])
        classes.append(
            ClassEvidence(
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
                    "cluster separation": clusters[label].separation,
                },
            )
        )
    return Detection(
        score=score, threshold=0.0, flagged=score > 0, kind=kind, classes=classes, suspects=suspects,
        verifier=verifier, taught=taught, probabilities=probabilities, doubt=doubted, activations=activations,
        **common,
    )  # fmt: skip
