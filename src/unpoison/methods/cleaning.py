"""From what a method finds to what is handed back: the steps that all methods share."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..detection.choice import Choice, choose
from ..detection.config import DEFAULT
from ..detection.verifier import Verifier
from ..pictures import Footprint
from ..progress import Progress
from ..report import ClassEvidence, Report, versions
from ..restoration import Restorer
from ..training.backbones import Backbone
from ..training.precision import precision_of
from .base import OnPoison, Outcome, Run
from .repair import repair
from .verdict import Explanation

SHOWN_ON = 500
"""Images on which a trigger is stamped to see which pixels it changes."""
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """A method's verdict on N samples."""

    explanation: Explanation
    threshold: float = 0.0
    """Samples whose score is above it are flagged."""
    classes: list[ClassEvidence]
    model: Backbone
    """The suspicious model M: it learned the backdoor, if there is one."""
    choice: Choice | None = None
    """How classifiers are trained on this data; None where the method did not have to choose."""
    verifier: Verifier | None = None
    """A classifier of that kind that has learned credible samples, from which another can go on; None without one."""
    votes: npt.NDArray[np.bool_] | None = None
    """See `Report.votes`."""
    notes: list[str]

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        return self.explanation.score > self.threshold


Find = Callable[..., Found]
"""(images, labels, num_classes, config, device=..., seed=..., progress=...) to `Found`; arguments as of `Run`."""


def cleaning(name: str, find: Find) -> Run:
    """The entry point of a method that finds poison by `find`."""

    def run(
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        *,
        config: Any,
        on_poison: OnPoison,
        restorer: Restorer | None,
        device: torch.device,
        seed: int,
        progress: Progress,
    ) -> Outcome:
        """See `unpoison.methods.base.Run`."""
        found = find(images, labels, num_classes, config, device=device, seed=seed, progress=progress)
        flagged, findings, choice = found.flagged, found.explanation.findings, found.choice
        _logger.info("%d of %d images are suspicious", flagged.sum(), len(flagged))
        for finding in findings:
            _logger.info("%s", finding.describe())
        if choice is None and on_poison == "restore" and flagged.any():
            with progress.stage("choose"):
                choice = choose(DEFAULT, images, labels, num_classes, device, seed)
        repaired = repair(
            images, labels, num_classes, flagged, findings, found.model, choice, found.verifier, config.restoration,
            on_poison=on_poison, restorer=restorer, device=device, seed=seed, progress=progress,
        )  # fmt: skip
        for note in repaired.notes:
            _logger.info("%s", note)
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
            timings=dict(progress.timings),
            config={
                "method": name,
                **dataclasses.asdict(config),
                "chosen": None if choice is None else _facts(choice),
                "on_poison": on_poison,
                "device": str(device),
                "precision": precision_of(device),
                "seed": seed,
            },
            notes=[
                f"precision: {precision_of(device)}, as fits this {device.type}",
                *found.notes,
                *(finding.describe() for finding in findings),
                *repaired.notes,
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

    return run


def _some(images: npt.NDArray[np.uint8], flagged: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Up to `SHOWN_ON` images that were not flagged, from all over the dataset; any where all are."""
    index = np.flatnonzero(~flagged) if not flagged.all() else np.arange(len(flagged))
    return images[index[:: max(1, len(index) // SHOWN_ON)]]


def _facts(choice: Choice) -> dict[str, Any]:
    return {"backbone": choice.backbone, "width": choice.width, "training": dataclasses.asdict(choice.training)}
