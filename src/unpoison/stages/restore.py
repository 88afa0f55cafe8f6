"""PD-AutoR 3.2 and 3.3: keeps, drops or restores what is flagged."""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from ..context import Context
from ..data.checksums import Checked
from ..data.reading import parsing
from ..data.store import ImageStore
from ..detection.choice import Choice
from ..explanation.found import Found
from ..explanation.verdict import Finding
from ..pictures import Footprint, stacked
from ..report import OnPoison
from ..restoration import RestorationConfig, Restorer
from ..restoration.classifier import Classifier
from ..restoration.repair import Repair, repair
from .stage import Inputs, Stage

RESTORER = "restorer"
SHOWN_ON = 500
"""Images on which a trigger is stamped to see which pixels it changes."""
_ARRAYS, _FACTS = "restored.npz", "restored.json"
_SCHEMA = {
    "action": ("U", 1), "label": ("i", 1), "quality": ("f", 1), "reason": ("U", 1), "restored_index": ("i", 1),
    "restored_images": ("u", 4), "changes": ("f", 3),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Treatment:
    """What happens to flagged samples."""

    on_poison: OnPoison
    restoration: RestorationConfig
    spared: tuple[int, ...] = ()
    """Positions of those that are not flagged after all."""


class Restored(NamedTuple):
    """What became of the samples."""

    repair: Repair
    """Without its restorer, which lies in a folder of its own."""
    footprints: list[Footprint]
    """Where the triggers that were found change the pixels."""
    choice: Choice | None
    """How the classifier was trained, where there is one."""

    def save(self, folder: Path) -> None:
        """Writes it into an existing folder."""
        arrays = {name: array for name, array in self.repair._asdict().items() if name in _SCHEMA}
        np.savez(folder / _ARRAYS, allow_pickle=False, **arrays, changes=stacked(self.footprints))
        facts = _Facts([footprint[:-1] for footprint in self.footprints], self.choice, self.repair.notes)
        (folder / _FACTS).write_text(json.dumps(msgspec.to_builtins(facts)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            DamagedError: a file is damaged.
        """
        files = Checked(folder)
        arrays: dict[str, Any] = files.arrays(_ARRAYS, _SCHEMA)
        changes, facts = arrays.pop("changes"), files.json(_FACTS, _Facts)
        with parsing(folder / _FACTS):
            footprints = [Footprint(*fact, change) for fact, change in zip(facts.footprints, changes, strict=True)]
        return cls(Repair(**arrays, restorer=None, notes=facts.notes), footprints, facts.choice)


class _Facts(msgspec.Struct):
    """What `restored.json` holds."""

    footprints: list[tuple[list[int], str, int]]
    choice: Choice | None
    notes: list[str]


def run(inputs: Inputs, out: Path, config: Treatment, context: Context) -> None:
    """Writes a `Restored`, and the restorer where there is one.

    Beside the store and what was found it reads the `classifier`, where something is to be restored, and a `restorer`
    to start from, if there is one.
    """
    store, found = ImageStore.open(inputs["store"]), Found.load(inputs["found"], context.device)
    flagged, findings = spare(found, store.labels, config.spared)
    classifier = Classifier.load(inputs["classifier"], context.device) if "classifier" in inputs else None
    repaired = repair(
        store.images, store.labels, flagged, findings, found.model, classifier, config.restoration, context,
        on_poison=config.on_poison, restorer=Restorer.from_pretrained(inputs[RESTORER]) if RESTORER in inputs else None,
    )  # fmt: skip
    Restored(repaired, _footprints(findings, store.images, flagged), classifier and classifier.choice).save(out)
    if repaired.restorer is not None:
        repaired.restorer._write(out / RESTORER)


def spare(
    found: Found, labels: npt.NDArray[np.int64], spared: tuple[int, ...]
) -> tuple[npt.NDArray[np.bool_], list[Finding]]:
    """The flags, bool [N], and the findings without some samples, and without the classes and findings that then have
    no other."""
    flagged, findings = found.flagged, found.explanation.findings
    if not spared:
        return flagged, findings
    keep = np.zeros_like(flagged)
    keep[list(spared)] = True
    left = []
    for finding in findings:
        members = finding.members & ~keep
        if members.any():
            gone = set(labels[finding.members].tolist()) - set(labels[members].tolist())
            classes = [label for label in finding.classes if label not in gone]
            left.append(dataclasses.replace(finding, classes=classes, members=members))
    return flagged & ~keep, left


def _footprints(
    findings: list[Finding], images: npt.NDArray[np.uint8], flagged: npt.NDArray[np.bool_]
) -> list[Footprint]:
    """On images that were not flagged, from all over the dataset; on any where all are."""
    index = np.flatnonzero(~flagged) if not flagged.all() else np.arange(len(flagged))
    shown = images[index[:: max(1, len(index) // SHOWN_ON)]]
    return [
        Footprint(finding.classes, finding.trigger.kind, 0, finding.trigger.footprint(shown))
        for finding in findings
        if finding.trigger is not None
    ]


RESTORE = Stage(name="restore", makes="what was restored", run=run, config_class=Treatment)
