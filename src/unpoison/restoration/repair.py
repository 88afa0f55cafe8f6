"""What happens to flagged samples, whichever method found them: PD-AutoR 3.2 and 3.3."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .. import rules
from ..context import Context
from ..explanation.stamping import share_turned
from ..explanation.verdict import Finding
from ..report import OnPoison
from ..training.backbones import Backbone
from .classifier import Classifier
from .config import RestorationConfig
from .quality import check_quality
from .restorer import Restorer
from .training import train_restorer
from .warm_start import adapt_restorer

REFERENCE_IMAGES = 2000


class Repair(NamedTuple):
    """What is done with each of N samples."""

    action: npt.NDArray[np.str_]
    """str [N]: "keep", "restore" or "drop"."""
    label: npt.NDArray[np.int64]
    """int64 [N], -1 where dropped."""
    quality: npt.NDArray[np.float32]
    """float32 [N]."""
    reason: npt.NDArray[np.str_]
    """str [N], see `Report.reason`."""
    restored_index: npt.NDArray[np.int64]
    """int64 [M], ascending."""
    restored_images: npt.NDArray[np.uint8]
    """uint8 [M,H,W,C]."""
    restorer: Restorer | None
    notes: list[str]
    """What became of a given restorer."""


def repair(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    flagged: npt.NDArray[np.bool_],
    findings: list[Finding],
    suspicious: Backbone,
    classifier: Classifier | None,
    config: RestorationConfig,
    context: Context,
    *,
    on_poison: OnPoison,
    restorer: Restorer | None,
) -> Repair:
    """Keeps, drops or restores the flagged samples.

    Args:
        images: uint8 [N,H,W,C].
        labels: int64 [N].
        flagged: bool [N].
        findings: groups that together hold all flagged samples.
        suspicious: M, the model that learned the backdoor.
        classifier: C; None where nothing is to be restored.
        restorer: adapted to the findings where given; see `adapt_restorer`.
    """
    action = np.full(len(labels), "keep", dtype="<U7")
    label, quality = labels.copy(), np.ones(len(labels), np.float32)
    reason = np.full(len(labels), "", dtype="<U7")
    restored_index = np.empty(0, np.int64)
    restored_images = np.empty((0, *images.shape[1:]), np.uint8)
    if flagged.any() and on_poison != "keep":
        action[flagged], label[flagged], quality[flagged] = "drop", -1, 0
    if not flagged.any() or on_poison != "restore":
        reason[action == "drop"] = "asked"
        return Repair(action, label, quality, reason, restored_index, restored_images, restorer, [])

    assert classifier is not None
    # The same numbers follow whether C was trained now or earlier.
    torch.manual_seed(context.seed)
    clean = np.flatnonzero(~flagged)
    clean = np.sort(np.random.default_rng(context.seed).permutation(clean)[:REFERENCE_IMAGES])
    given, restorer, parts, notes = restorer, None, [], []
    for finding in sorted(findings, key=lambda finding: -int(finding.members.sum())):
        members = np.flatnonzero(finding.members)
        if not len(members):
            continue
        if given is None and finding.estimate is not None and not finding.estimate.helps(images[clean]):
            reason[members] = "inexact"
            notes.append(f"{finding.place}: the trigger is known too little to take it off; the images are dropped")
            continue
        # 3.2 Content restorator training, on the very images that it will restore.
        with context.stage("train restorer") as part:
            if given is None:
                current = train_restorer(images, flagged, finding.estimate, config, part)
            else:
                current, how = adapt_restorer(given, images, flagged, finding.members, finding.estimate, config, part)
                notes.append(f"{finding.place}: the given restorer is {how}")
        restorer = restorer or current
        # 3.3 Content restorator, quality checker, label restorer.
        with context.stage("restore"):
            pixels = restore_in_batches(current, images, members, context.device)
            asked = suspicious if _learned(finding, suspicious, images, labels, clean, context) else None
            verdict = check_quality(
                pixels,
                labels[members],
                images[clean],
                classifier.model,
                asked,
                config,
                mirrored=classifier.choice.training.flip,
            )
        accepted = members[verdict.accepted]
        action[accepted], label[accepted] = "restore", verdict.labels[verdict.accepted]
        quality[members], reason[members] = verdict.quality, verdict.reason
        parts.append((accepted, pixels[verdict.accepted]))
    restored_index = np.concatenate([restored_index, *(index for index, _ in parts)])
    order = np.argsort(restored_index)
    restored_images = np.concatenate([restored_images, *(pixels for _, pixels in parts)])[order]
    return Repair(action, label, quality, reason, restored_index[order], restored_images, restorer, notes)


def _learned(
    finding: Finding,
    suspicious: Backbone,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    clean: npt.NDArray[np.int64],
    context: Context,
) -> bool:
    """Whether the trigger works in the suspicious model, as far as it can be stamped on clean images."""
    if finding.estimate is None:
        return True
    [turned] = share_turned(finding.estimate, [suspicious], images[clean], labels[clean], finding.classes, context)
    return turned >= rules.LEARNED_EFFECT


def restore_in_batches(
    restorer: Restorer, images: npt.NDArray[np.uint8], index: npt.NDArray[np.int64], device: torch.device
) -> npt.NDArray[np.uint8]:
    """Restored copies, uint8 [M,H,W,C], of the chosen images."""
    chunks = np.array_split(index, max(1, len(index) // 512))
    restored = [restorer(torch.from_numpy(images[chunk]).to(device)).cpu().numpy() for chunk in chunks]
    return np.concatenate(restored)
