"""From what a method finds to what is handed back: the steps that all methods share."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..context import Context
from ..detection.choice import Choice
from ..explanation.found import REUSED, Found
from ..explanation.verdict import Finding
from ..pictures import Footprint
from ..report import OnPoison, Report, versions
from ..restoration import Restorer
from ..restoration.classifier import Classifier
from ..restoration.repair import repair
from ..training.precision import precision_of
from .base import Find, Finish, Outcome, Run

SHOWN_ON = 500
"""Images on which a trigger is stamped to see which pixels it changes."""
_logger = logging.getLogger(__name__)


def cleaning(find: Find, finish: Finish) -> Run:
    """The entry point of a method of two steps."""

    def run(
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        *,
        config: Any,
        on_poison: OnPoison,
        restorer: Restorer | None,
        context: Context,
    ) -> Outcome:
        """See `unpoison.methods.base.Run`."""
        found = find(images, labels, num_classes, config, context)
        return finish(
            found, images, labels, num_classes, config=config, on_poison=on_poison, restorer=restorer, context=context
        )

    return run


def finishing(name: str) -> Finish:
    """The second step of the method of this name."""

    def finish(
        found: Found,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        *,
        config: Any,
        on_poison: OnPoison,
        restorer: Restorer | None,
        context: Context,
        keep: npt.NDArray[np.bool_] | None = None,
        classifiers: Path | None = None,
    ) -> Outcome:
        """See `unpoison.methods.base.Finish`."""
        flagged, findings, notes = found.flagged, found.explanation.findings, []
        _logger.info("%d of %d images are suspicious", flagged.sum(), len(flagged))
        for finding in findings:
            _logger.info("%s", finding.describe())
        if keep is not None and (flagged & keep).any():
            flagged, findings = flagged & ~keep, _without(findings, keep, labels)
        classifier = None
        if on_poison == "restore" and flagged.any():
            classifier = Classifier.trained(images, labels, num_classes, flagged, found, context, folder=classifiers)
            if classifier.reused:
                notes.append(f"{REUSED}: the classifier of the unflagged part")
        repaired = repair(
            images, labels, flagged, findings, found.model, classifier, config.restoration, context,
            on_poison=on_poison, restorer=restorer,
        )  # fmt: skip
        notes += repaired.notes
        for note in notes:
            _logger.info("%s", note)
        choice = found.choice if classifier is None else classifier.choice
        poisoned = {label for finding in findings for label in finding.classes}
        report = Report(
            score=found.explanation.score.astype(np.float32),
            flagged=flagged,
            kind=np.where(flagged, found.explanation.kind, ""),
            action=repaired.action,
            label=repaired.label,
            original_label=labels.copy(),
            quality=repaired.quality,
            reason=repaired.reason,
            threshold=found.threshold,
            classes=[
                dataclasses.replace(entry, poisoned=entry.poisoned or entry.label in poisoned)
                for entry in found.classes
            ],
            timings=dict(context.progress.timings),
            config={
                "method": name,
                **dataclasses.asdict(config),
                "chosen": None if choice is None else _facts(choice),
                "on_poison": on_poison,
                "device": str(context.device),
                "precision": precision_of(context.device),
                "seed": context.seed,
            },
            notes=[
                f"precision: {precision_of(context.device)}, as fits this {context.device.type}",
                *found.notes,
                *(finding.describe() for finding in findings),
                *notes,
            ],
            versions=versions(),
            votes=np.zeros((0, 0), np.bool_) if found.votes is None else found.votes,
        )
        return Outcome(
            report=report,
            restored_index=repaired.restored_index,
            restored_images=repaired.restored_images,
            restorer=repaired.restorer,
            footprints=[
                Footprint(finding.classes, finding.estimate.kind, 0, finding.estimate.footprint(_some(images, flagged)))
                for finding in findings
                if finding.estimate is not None
            ],
        )

    return finish


def _without(findings: list[Finding], keep: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64]) -> list[Finding]:
    """The findings without some samples, bool [N], and without the classes and findings that then have no other."""
    left = []
    for finding in findings:
        members = finding.members & ~keep
        if members.any():
            gone = set(labels[finding.members].tolist()) - set(labels[members].tolist())
            classes = [label for label in finding.classes if label not in gone]
            left.append(dataclasses.replace(finding, classes=classes, members=members))
    return left


def _some(images: npt.NDArray[np.uint8], flagged: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Up to `SHOWN_ON` images that were not flagged, from all over the dataset; any where all are."""
    index = np.flatnonzero(~flagged) if not flagged.all() else np.arange(len(flagged))
    return images[index[:: max(1, len(index) // SHOWN_ON)]]


def _facts(choice: Choice) -> dict[str, Any]:
    return {"backbone": choice.backbone, "width": choice.width, "training": dataclasses.asdict(choice.training)}
