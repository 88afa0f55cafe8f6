"""Detection and restoration meet once: a trigger found in the pixels confirms classes and repairs the flags."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from ..detection.config import DetectionConfig
from ..detection.detector import Detection, log_odds_against
from ..progress import Progress, Stage
from ..restoration import Estimate, estimate_transform
from ..training.backbones import Backbone
from ..training.loop import as_input, on_device, predict

DETECTOR_SAY = 3.0
"""Where pixels are undecided the detector's log-odds count, up to this much."""
OWN_CONTENT = 0.5
"""A pattern more opaque than this is no trigger: the images are copies of each other."""
STAMPED = 500
PATCH_RATE = 0.5
"""Least effect of a patch: objects and strokes are local, too, and pull an image towards their class."""
NATURAL = 0.3
"""A pattern that moves the verifier more than this fraction of the suspicious model belongs to the class."""
SHARED = 0.7
"""A trigger is one only if this fraction of the suspects shows it: strokes of digits come and go."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """A group of flagged samples that one trigger explains, or that none does."""

    classes: list[int]
    members: npt.NDArray[np.bool_]
    """bool [N]; the flagged samples of these classes."""
    estimate: Estimate | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """The detector's verdict after the pixels were heard."""

    score: npt.NDArray[np.float32]
    """float32 [N]; above `Detection.threshold` = flagged."""
    kind: npt.NDArray[np.str_]
    findings: list[Finding]


def explain(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    detection: Detection,
    config: DetectionConfig,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
) -> Explanation:
    """Looks for the trigger of poisoned classes, and for one in the most clearly split other classes.

    Args:
        images: uint8 [N,H,W,C].
        labels: int64 [N].
        detection: of the mixture detector; its `probabilities` are not None.
    """
    assert detection.probabilities is not None
    score, kind = detection.score.cpu().numpy().copy(), detection.kind.copy()
    probabilities = detection.probabilities.cpu().numpy()
    findings = []
    gated = [entry.label for entry in detection.classes if entry.poisoned]
    if gated:
        with progress.stage("explain") as stage:
            flagged = detection.flagged.cpu().numpy()
            estimate = _estimate(images, flagged, probabilities, device, seed, stage)
            if estimate is not None:
                members = np.flatnonzero(np.isin(labels, gated))
                # A white patch on a white ground shows in no pixel: there the content's own class has a say, too.
                own = torch.from_numpy(probabilities[members, labels[members]])
                odds = score[members] + log_odds_against(own).numpy()
                score[members] = _heard(odds, estimate.evidence(images[members]))
                kind[members] = "backdoor"
        findings.append(
            Finding(classes=gated, members=np.isin(labels, gated) & (score > detection.threshold), estimate=estimate)
        )
    for label, inside in detection.suspects.items():
        with progress.stage("explain") as stage:
            suspected = inside.cpu().numpy()
            estimate = _estimate(images, suspected, probabilities, device, seed, stage)
            if estimate is None or (estimate.evidence(images[suspected]) > 0).mean() < SHARED:
                continue
            if not _works(estimate, images, labels, label, detection, config, device, seed):
                continue
        members = np.flatnonzero(labels == label)
        odds = np.where(suspected[members], DETECTOR_SAY, -DETECTOR_SAY).astype(np.float32)
        score[members] = _heard(odds, estimate.evidence(images[members]))
        kind[members] = "backdoor"
        inside_now = (labels == label) & (score > detection.threshold)
        findings.append(Finding(classes=[label], members=inside_now, estimate=estimate))
    return Explanation(score=score, kind=kind, findings=findings)


def _heard(odds: npt.NDArray[np.float32], evidence: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Pixels overrule the detector where they are clear."""
    return np.clip(odds, -DETECTOR_SAY, DETECTOR_SAY) + evidence


def _estimate(
    images: npt.NDArray[np.uint8],
    flagged: npt.NDArray[np.bool_],
    probabilities: npt.NDArray[np.float32],
    device: torch.device,
    seed: int,
    stage: Stage,
) -> Estimate | None:
    estimate = estimate_transform(images, flagged, probabilities, device=device, seed=seed, stage=stage)
    copies = estimate.kind == "blend" and float(estimate.scale.mean()) < 1 - OWN_CONTENT
    return None if estimate.kind == "none" or copies else estimate


def _works(
    estimate: Estimate,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    label: int,
    detection: Detection,
    config: DetectionConfig,
    device: torch.device,
    seed: int,
) -> bool:
    """Whether stamping the trigger on images of other classes makes the suspicious model say `label`.

    A stroke that belongs to a digit does so as well, but then the verifier, which learned no trigger, follows.
    """
    assert detection.verifier is not None
    others = np.random.default_rng(seed).permutation(np.flatnonzero(labels != label))[:STAMPED]
    x = on_device(images[np.sort(others)], device)
    with torch.inference_mode():
        stamped = (estimate.poison(as_input(x)) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)

    def effect(model: Backbone) -> float:
        before, after = (predict(model, batch).logits.argmax(1) == label for batch in (x, stamped))
        return float(after.float().mean() - before.float().mean())

    found = effect(detection.model)
    needed = max(PATCH_RATE, config.causal_rate) if estimate.kind == "patch" else config.causal_rate
    return found >= needed and effect(detection.verifier) <= NATURAL * found
