"""What methods worked out, kept in the cache folder under keys of what decides it, so that nothing is done twice.

    <cache>/found/<key>/verdict/                what was detected: see `Found`
    <cache>/found/<key>/classifiers/<flags>/    C, by the flags without which it was trained
    <cache>/outcomes/<key>/                     the decision and the restored pixels: see `Outcome`

The keys begin with the pixels and labels that the method sees, whatever dataset they come from: who has the same images
in another format, under other names or in other columns shares all of it.
"""

import dataclasses
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .. import rules
from ..context import Context
from ..data.cache import build_once, cache_key
from ..data.checksums import Checked, is_whole, publishing_checked
from ..data.duplicates import find_duplicates
from ..data.files import remove_leftovers, writing
from ..data.pruning import mark_used
from ..data.reading import parse_json, parsing
from ..data.store import ImageStore
from ..detection.choice import default_network
from ..explanation.found import FORMAT, REUSED, Found
from ..pictures import Footprint, stacked
from ..report import FORMAT as REPORT_FORMAT
from ..report import OnPoison, Report
from ..restoration.restorer import FORMAT as RESTORER_FORMAT
from ..training.precision import precision_of
from ..triggers import triggers
from .base import MethodInfo, Outcome
from .copies import OnDuplicates, mere_copies, with_duplicates
from .spared import Spared, without

if TYPE_CHECKING:
    from ..restoration import Restorer

OUTCOME_FORMATS = (FORMAT, REPORT_FORMAT, RESTORER_FORMAT)
"""Of what an outcome holds and is read from: versions that write another one keep theirs under other keys."""
RESTORER = "restorer"
_ARRAYS, _FOOTPRINTS = "restored.npz", "footprints.npz"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What is asked of a method."""

    method: MethodInfo
    config: Any
    on_poison: OnPoison
    restorer: "Restorer | None"
    restorer_digest: str | None
    keep: npt.NDArray[np.bool_]
    """bool [N]; samples that are not flagged."""
    max_altered: float
    """Share of each class that may be flagged."""
    duplicates: OnDuplicates
    class_names: list[str]
    """By class number, for people."""
    device: torch.device
    seed: int

    def decisive(self, store: ImageStore, **more: Any) -> str:
        """A key of the images and of what decides about them in every step."""
        return cache_key(pixels=store.pixels, method=self.method.key, seed=self.seed, **made_by(self.device), **more)

    def found_key(self, store: ImageStore) -> str:
        return self.decisive(store, searching=self.method.searching(self.config), format=FORMAT)

    def outcome_key(self, store: ImageStore, keep: npt.NDArray[np.bool_] | None) -> str:
        """Where `keep`, bool [N], is all that is spared, for whatever reason: that is what decides."""
        return self.decisive(
            store,
            config=self.config,
            on_poison=self.on_poison,
            restorer=self.restorer_digest,
            keep=[] if keep is None else np.flatnonzero(keep).tolist(),
            formats=OUTCOME_FORMATS,
        )


def made_by(device: torch.device) -> dict[str, Any]:
    """Of every key of what is computed: version, arithmetic, kinds of triggers, the numbers that decide, and, where the
    settings leave it open, the network. Settings are in the key as well: a CPU's result never answers for a GPU's."""
    return {
        "version": importlib.metadata.version("unpoison"),
        "device": device.type,
        "precision": precision_of(device),
        "network": default_network(device),
        "triggers": [trigger.kind for trigger in triggers()],
        "rules": rules.numbers(),
    }


def detected_in(root: Path, task: Task, store: ImageStore) -> Path:
    """Where what a method of two steps detects is kept."""
    return root / "found" / task.found_key(store) / "verdict"


class Decision(NamedTuple):
    """What became of the images, and how it came about."""

    outcome: Outcome
    """Without its restorer; its report numbers classes without gaps, and says in its notes what was reused."""
    restorer: Path | None
    """Folder of the restorer that did it, where one was trained or given."""
    timings: dict[str, float]
    """Seconds per stage that this run took for it."""


def decide(root: Path, task: Task, store: ImageStore, context: Context) -> Decision:
    """What the method makes of the images: worked out now, or as far as that was done before, read.

    Raises:
        CacheError: the cache folder cannot be written, or what it holds is damaged.
    """
    with writing(root):
        for place in (root / "found", root / "outcomes"):
            remove_leftovers(place)
    common: dict[str, Any] = {
        "config": task.config, "on_poison": task.on_poison, "restorer": task.restorer, "context": context,
    }  # fmt: skip
    data = store.images, store.labels, store.num_classes
    with context.stage("duplicates"):
        copies = find_duplicates(store.images, store.labels)
    if task.method.find is None or task.method.finish is None:
        decision = _once(root, task.outcome_key(store, None), lambda: task.method.run(*data, **common))
        report = decision.outcome.report
        mere = mere_copies(report.flagged, report.kind, store.labels, copies, [])
        spared = Spared.of(report.flagged, store.labels, task.keep, mere, task.max_altered)
        outcome = without(decision.outcome, spared.lifted)
    else:
        found, finish = _find_once(root, task, store, context), task.method.finish
        explanation = found.explanation
        mere = mere_copies(found.flagged, explanation.kind, store.labels, copies, explanation.findings)
        spared = Spared.of(found.flagged, store.labels, task.keep, mere, task.max_altered)
        classifiers = detected_in(root, task, store).with_name("classifiers")
        decision = _once(
            root,
            task.outcome_key(store, spared.lifted),
            lambda: finish(found, *data, **common, keep=spared.lifted, classifiers=classifiers),
        )
        outcome = decision.outcome
    outcome = spared.noted(outcome, task.class_names)
    report = with_duplicates(outcome.report, copies.of, task.duplicates, task.keep, task.class_names)
    return decision._replace(outcome=dataclasses.replace(outcome, report=report))


def _find_once(root: Path, task: Task, store: ImageStore, context: Context) -> Found:
    folder, find = detected_in(root, task, store), task.method.find
    assert find is not None
    built = False

    def build() -> None:
        nonlocal built
        built, before = True, dict(context.progress.timings)
        found = find(store.images, store.labels, store.num_classes, task.config, context)
        took = {stage: seconds - before.get(stage, 0) for stage, seconds in context.progress.timings.items()}
        found = dataclasses.replace(found, timings={stage: seconds for stage, seconds in took.items() if seconds > 0})
        with writing(root), publishing_checked(folder) as temporary:
            found.save(temporary)

    build_once(root, f"found-{folder.parent.name}", lambda: is_whole(folder), build)
    mark_used(folder.parent)
    found = Found.load(folder, task.device)
    if not built:
        took = f"{sum(found.timings.values()):.0f} s: {', '.join(found.timings)}"
        found = dataclasses.replace(found, notes=[*found.notes, f"{REUSED}: what was detected ({took})"])
    return found


def _once(root: Path, key: str, work: Callable[[], Outcome]) -> Decision:
    folder = root / "outcomes" / key
    built = False

    def build() -> None:
        nonlocal built
        built, outcome = True, work()
        with writing(root), publishing_checked(folder) as temporary:
            _save(outcome, temporary)

    build_once(root, f"outcome-{key}", lambda: is_whole(folder), build)
    mark_used(folder)
    outcome = _load(folder)
    report = outcome.report
    timings = report.timings if built else {}
    if not built:
        took = f"{sum(report.timings.values()):.0f} s: {', '.join(report.timings)}"
        report = dataclasses.replace(report, notes=[*report.notes, f"{REUSED}: the whole decision ({took})"])
        outcome = dataclasses.replace(outcome, report=report)
    restorer = folder / RESTORER
    return Decision(outcome, restorer if restorer.is_dir() else None, timings)


def _save(outcome: Outcome, folder: Path) -> None:
    outcome.report._write(folder)
    np.savez(
        folder / _ARRAYS, allow_pickle=False, restored_index=outcome.restored_index,
        restored_images=outcome.restored_images,
    )  # fmt: skip
    facts = [footprint[:-1] for footprint in outcome.footprints]
    np.savez(
        folder / _FOOTPRINTS, allow_pickle=False, facts=json.dumps(facts),
        changes=stacked(outcome.footprints),
    )  # fmt: skip
    if outcome.restorer is not None:
        outcome.restorer._write(folder / RESTORER)


def _load(folder: Path) -> Outcome:
    files = Checked(folder)
    restored: dict[str, Any] = files.arrays(_ARRAYS, {"restored_index": ("i", 1), "restored_images": ("u", 4)})
    changes = files.arrays(_FOOTPRINTS, {"facts": ("U", 0), "changes": ("f", 3)})
    with parsing(folder / _FOOTPRINTS):
        facts = parse_json(str(changes["facts"]).encode(), list[tuple[list[int], str, int]])
        footprints = [Footprint(*fact, change) for fact, change in zip(facts, changes["changes"], strict=True)]
    return Outcome(report=Report.load(folder), **restored, footprints=footprints)
