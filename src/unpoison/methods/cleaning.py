"""From the images to what is done with each: a method's stages, and what is spared whatever they found."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..context import Context
from ..data.store import ImageStore
from ..detection.choice import Choice
from ..explanation.found import Found
from ..explanation.verdict import Finding
from ..pictures import Footprint
from ..report import OnPoison, Report, versions
from ..stages.duplicates import DUPLICATES, load
from ..stages.features import FEATURES, with_features
from ..stages.local import LocalExecutor
from ..stages.restore import RESTORER, Restored, Treatment, spare
from ..stages.stage import Artefact
from ..training.precision import precision_of
from .base import MethodInfo
from .copies import OnDuplicates, mere_copies, with_duplicates
from .spared import Spared

REUSED = "reused from an earlier run"
"""Begins the note of a report that says so."""
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What is asked of a method."""

    method: MethodInfo
    config: Any
    on_poison: OnPoison
    given: Mapping[str, Artefact]
    """What the user brings, see `Given.kept_in`."""
    keep: npt.NDArray[np.bool_]
    """bool [N]; samples that are not flagged."""
    max_altered: float
    """Share of each class that may be flagged."""
    duplicates: OnDuplicates
    class_names: list[str]
    """By class number, for people."""


class Outcome(NamedTuple):
    """What became of the images, and how it came about."""

    report: Report
    """Of the images in the store: numbers classes without gaps, and says in its notes what was reused."""
    restored_index: npt.NDArray[np.int64]
    """int64 [M]; positions of the samples whose pixels were restored, ascending."""
    restored_images: npt.NDArray[np.uint8]
    """uint8 [M,H,W,C]; their restored pixels at working resolution."""
    footprints: list[Footprint]
    """Where the triggers that were found change the pixels."""
    restorer: Path | None
    """Folder of the restorer that did it, where one was trained or given."""
    findings: list[Finding]
    """What was found, without what is spared."""


def clean(
    task: Task,
    store: ImageStore,
    executor: LocalExecutor,
    context: Context,
    look_closer: Callable[[Artefact], Artefact] = lambda found: found,
) -> Outcome:
    """What the method makes of the images: worked out now, or as far as that was done before, read.

    Args:
        look_closer: adds to what was found what is not to be seen in the store.

    Raises:
        CacheError: the cache folder cannot be written, or what it holds is damaged.
    """
    inputs = {"store": Artefact(store.folder, store.pixels)}
    copies = load(executor.run(DUPLICATES, inputs, None, context).folder)
    if FEATURES in task.given:
        inputs[FEATURES] = task.given[FEATURES]
    inputs = with_features(inputs, task.config, executor, context)
    inputs["found"] = look_closer(task.method.find(inputs, task.config, executor, context))
    found = Found.load(inputs["found"].folder, torch.device("cpu"))
    mere = mere_copies(found.flagged, found.explanation.kind, store.labels, copies, found.explanation.findings)
    spared = Spared.of(found.flagged, store.labels, task.keep, mere, task.max_altered)
    positions = tuple(np.flatnonzero(spared.lifted).tolist())
    flagged, findings = spare(found, store.labels, positions)
    _log(flagged, findings)
    treatment = Treatment(
        # What is not there cannot be restored: no classifier is trained for it.
        on_poison=task.on_poison if flagged.any() else "keep", restoration=task.config.restoration, spared=positions
    )  # fmt: skip
    if RESTORER in task.given:
        inputs[RESTORER] = task.given[RESTORER]
    finished = task.method.finish(inputs, treatment, executor, context)
    restored = Restored.load(finished.folder)
    report = _report(task, store, found, flagged, findings, restored, executor, context)
    report = with_duplicates(
        spared.noted(report, task.class_names), copies.of, task.duplicates, task.keep, task.class_names
    )
    restorer = finished.folder / RESTORER
    return Outcome(
        report=report,
        restored_index=restored.repair.restored_index,
        restored_images=restored.repair.restored_images,
        footprints=restored.footprints,
        restorer=restorer if restorer.is_dir() else None,
        findings=findings,
    )


def _log(flagged: npt.NDArray[np.bool_], findings: list[Finding]) -> None:
    _logger.info("%d of %d images are suspicious", flagged.sum(), len(flagged))
    for finding in findings:
        _logger.info("%s", finding.describe())


def _report(
    task: Task,
    store: ImageStore,
    found: Found,
    flagged: npt.NDArray[np.bool_],
    findings: list[Finding],
    restored: Restored,
    executor: LocalExecutor,
    context: Context,
) -> Report:
    device, repair = context.device, restored.repair
    precision = precision_of(device)
    poisoned = {label for finding in findings for label in finding.classes}
    choice = found.choice if restored.choice is None else restored.choice
    notes = [*repair.notes]
    if executor.reused:
        reused = ", ".join(f"{makes} ({seconds:.0f} s)" for makes, seconds in executor.reused.items())
        notes.append(f"{REUSED}: {reused}")
    for note in notes:
        _logger.info("%s", note)
    return Report(
        score=found.explanation.score.astype(np.float32),
        flagged=flagged,
        kind=np.where(flagged, found.explanation.kind, ""),
        action=repair.action,
        label=repair.label,
        original_label=store.labels.copy(),
        quality=repair.quality,
        reason=repair.reason,
        threshold=found.threshold,
        classes=[
            dataclasses.replace(entry, poisoned=entry.poisoned or entry.label in poisoned) for entry in found.classes
        ],
        timings=dict(context.progress.timings),
        config={
            "method": task.method.name,
            **dataclasses.asdict(task.config),
            "chosen": None if choice is None else _facts(choice),
            "on_poison": task.on_poison,
            "device": str(device),
            "precision": precision,
            "seed": context.seed,
        },
        notes=[
            f"precision: {precision}, as fits this {device.type}",
            *found.notes,
            *(finding.describe() for finding in findings),
            *notes,
        ],
        versions=versions(),
        votes=np.zeros((0, 0), np.bool_) if found.votes is None else found.votes,
    )


def _facts(choice: Choice) -> dict[str, Any]:
    return {"backbone": choice.backbone, "width": choice.width, "training": dataclasses.asdict(choice.training)}
