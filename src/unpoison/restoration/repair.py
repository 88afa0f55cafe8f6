"""What happens to flagged samples, whichever method found them: PD-AutoR 3.2 and 3.3."""

import dataclasses
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
from .quality import Quality, check_quality
from .restorer import Restorer
from .training import train_restorer
from .warm_start import Adapted, adapt_restorer

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
    dropped = _dropped(images, labels, flagged & (on_poison != "keep"))
    if not flagged.any() or on_poison != "restore":
        dropped.reason[dropped.action == "drop"] = "asked"
        return dropped._replace(restorer=restorer)

    assert classifier is not None
    # The same numbers follow whether C was trained now or earlier.
    torch.manual_seed(context.seed)
    clean = np.flatnonzero(~flagged)
    clean = np.sort(np.random.default_rng(context.seed).permutation(clean)[:REFERENCE_IMAGES])
    work = _Restoration(images, labels, flagged, clean, suspicious, classifier, config, context)
    return work.put_back(dropped, findings, restorer)


def _dropped(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], members: npt.NDArray[np.bool_]) -> Repair:
    """These members are dropped, for no reason yet, and the other samples kept as they are."""
    return Repair(
        action=np.where(members, "drop", "keep").astype("<U7"),
        label=np.where(members, -1, labels),
        quality=np.where(members, 0, 1).astype(np.float32),
        reason=np.full(len(labels), "", dtype="<U7"),
        restored_index=np.empty(0, np.int64),
        restored_images=np.empty((0, *images.shape[1:]), np.uint8),
        restorer=None,
        notes=[],
    )


@dataclasses.dataclass(frozen=True)
class _Restoration:
    """The steps by which flagged samples come back; see `repair` for what they have in common."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    flagged: npt.NDArray[np.bool_]
    clean: npt.NDArray[np.int64]
    """int64 [m], positions of unflagged images to compare with."""
    suspicious: Backbone
    classifier: Classifier
    config: RestorationConfig
    context: Context

    def put_back(self, result: Repair, findings: list[Finding], given: Restorer | None) -> Repair:
        """Restores what passes the quality checker, the largest finding first.

        Args:
            result: drops all members of the findings; its arrays are changed in place.
            given: a restorer that is adapted to each finding.
        """
        index, pixels = [result.restored_index], [result.restored_images]
        restorer, notes = None, []
        for finding in sorted(findings, key=lambda finding: -int(finding.members.sum())):
            members = np.flatnonzero(finding.members)
            if not len(members):
                continue
            if given is None and not self._helps(finding):
                result.reason[members] = "inexact"
                notes.append(f"{finding.place}: the trigger is known too little to take it off; the images are dropped")
                continue
            current, how = self._train(finding, given)
            if how:
                notes.append(f"{finding.place}: the given restorer is {how}")
            restorer = restorer or current
            restored, verdict = self._restore(current, finding, members)
            accepted = members[verdict.accepted]
            result.action[accepted], result.label[accepted] = "restore", verdict.labels[verdict.accepted]
            result.quality[members], result.reason[members] = verdict.quality, verdict.reason
            index.append(accepted)
            pixels.append(restored[verdict.accepted])
        restored_index = np.concatenate(index)
        order = np.argsort(restored_index)
        return result._replace(
            restored_index=restored_index[order],
            restored_images=np.concatenate(pixels)[order],
            restorer=restorer,
            notes=notes,
        )

    def _helps(self, finding: Finding) -> bool:
        """Whether the trigger is known well enough to be taken off."""
        return finding.trigger is None or finding.trigger.helps(self.images[self.clean])

    def _train(self, finding: Finding, given: Restorer | None) -> Adapted:
        """3.2 Content restorator training, on the very images that it will restore."""
        with self.context.stage("train restorer") as part:
            if given is None:
                return Adapted(train_restorer(self.images, self.flagged, finding.trigger, self.config, part), "")
            return adapt_restorer(given, self.images, self.flagged, finding.members, finding.trigger, self.config, part)

    def _restore(
        self, restorer: Restorer, finding: Finding, members: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], Quality]:
        """3.3 Content restorator, quality checker, label restorer."""
        with self.context.stage("restore"):
            pixels = restore_in_batches(restorer, self.images, members, self.context.device)
            verdict = check_quality(
                pixels,
                self.labels[members],
                self.images[self.clean],
                self.classifier.model,
                self.suspicious if self._learned(finding) else None,
                self.config,
                mirrored=self.classifier.mirrored,
            )
        return pixels, verdict

    def _learned(self, finding: Finding) -> bool:
        """Whether the trigger works in the suspicious model, as far as it can be stamped on clean images."""
        if finding.trigger is None:
            return True
        images, labels = self.images[self.clean], self.labels[self.clean]
        [turned] = share_turned(finding.trigger, [self.suspicious], images, labels, finding.classes, self.context)
        return turned >= rules.LEARNED_EFFECT


def restore_in_batches(
    restorer: Restorer, images: npt.NDArray[np.uint8], index: npt.NDArray[np.int64], device: torch.device
) -> npt.NDArray[np.uint8]:
    """Restored copies, uint8 [M,H,W,C], of the chosen images."""
    chunks = np.array_split(index, max(1, len(index) // 512))
    restored = [restorer(torch.from_numpy(images[chunk]).to(device)).cpu().numpy() for chunk in chunks]
    return np.concatenate(restored)
