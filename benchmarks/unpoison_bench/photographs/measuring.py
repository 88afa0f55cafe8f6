"""Measures one row: cleans an image folder through the public path, then compares with what is known of the poison."""

import dataclasses
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from unpoison import metrics
from unpoison.attacks import PoisonedDataset
from unpoison.dataset import SanitizedDataset
from unpoison.methods import register

from ..flags import by_hand
from ..harm import found, harm
from ..machine import cpu_seconds, machine_facts, peak_memory_mb
from ..measure import plain
from ..shapes import pixels_of
from .errors import Repaired, repair_errors
from .files import Folder, Labels, Originals, poison, write
from .obeying import Obeying, obeying
from .rows import Row

BY_HAND = "flags"
"""Name of the method that is told which photographs are poisoned."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One row and everything that its process needs."""

    row: Row
    method: str
    preset: str
    device: str
    seed: int
    """Of the choice of poisoned photographs, the cleaning and the networks."""
    images: int | None
    """About so many photographs are used; all when None."""
    downstream: bool
    """Whether networks are trained on the input and on the output of poisoned sets."""


class Cleaned:
    """What is known of a set after cleaning: N photographs came in.

    Args:
        originals: before the attack.
        data: as the attacker has them, in the order of the originals; None without an attack.
        folder: as they are cleaned.
        clean: as they are served.
    """

    def __init__(
        self, originals: Originals, data: PoisonedDataset | None, folder: Folder, clean: SanitizedDataset
    ) -> None:
        self.originals, self.data, self.folder, self.clean = originals, data, folder, clean
        self.report = clean.report
        self.served_at = clean.positions(np.arange(len(self.report)))

    def repaired(self, places: Labels) -> Iterator[Repaired]:
        """Photographs at some places in the folder, one at a time."""
        for place in places.tolist():
            position = int(self.folder.position[place])
            original = pixels_of(self.originals[position][0])
            stamped = original if self.data is None else pixels_of(self.data[position][0])
            given, served = (
                pixels_of(data[index][0])
                for data, index in ((self.folder.given, place), (self.clean, int(self.served_at[place])))
            )
            yield Repaired(original, stamped, given, served)


def measure(job: Job) -> dict[str, Any]:
    """Runs a row and returns its measures as JSON values; see benchmarks/README.md for what they mean.

    Raises:
        DatasetError: a file is missing, or holds too few photographs.
    """
    row, device = job.row, torch.device(job.device)
    machine = machine_facts(device)
    originals = Originals(row.source, "train", job.images)
    data = poison(row, originals, job.seed)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        folder = write(Path(name) / "images", originals, data)
        if job.method == BY_HAND:
            register(by_hand(folder.poisoned))
        before, start, cpu = peak_memory_mb(), time.perf_counter(), cpu_seconds()
        clean = SanitizedDataset(
            folder.given, method=job.method, config=job.preset, max_altered=row.max_altered,
            cache_dir=Path(name) / "cache", device=device, seed=job.seed, progress=False,
        ).prepare()  # fmt: skip
        seconds, cpu, peak = time.perf_counter() - start, cpu_seconds() - cpu, peak_memory_mb()
        cleaned = Cleaned(originals, data, folder, clean)
        obeyed = {}
        if job.downstream and data is not None:
            test = Originals(row.source, "test")
            obeyed = obeying(Obeying(data.attacks[0], test, folder.given, clean, row.target), job.seed, device)
        measures = {**detection(cleaned), **restoration(cleaned), **obeyed}
    report = cleaned.report
    facts = {
        "name": row.name,
        "source": row.source,
        "trigger": row.trigger,
        "rate": row.rate,
        "target": None if data is None else row.target,
        "max_altered": row.max_altered,
        "method": job.method,
        "preset": job.preset,
        "seed": job.seed,
        "images": job.images,
        "samples": len(report),
        "classes": len(originals.classes),
        "poisoned": folder.poisoned.sum(),
        **measures,
        "wall_seconds": seconds,
        "cpu_seconds": cpu,
        "timings": report.timings,
        "peak_memory_mb": peak,
        "peak_memory_before_mb": before,
        "notes": report.notes,
        "warnings": [str(warning.message) for warning in warned],
        "config": report.config,
        "machine": machine,
    }
    result: dict[str, Any] = plain(facts)
    return result


def detection(cleaned: Cleaned) -> dict[str, Any]:
    """What was found of the poison, and what happened to the rest."""
    report, poisoned = cleaned.report, cleaned.folder.poisoned
    nothing: npt.NDArray[np.bool_] = np.zeros(len(report), bool)
    return {"flagged": report.flagged.sum(), **harm(report, poisoned, nothing), **found(report, poisoned, nothing)}


def restoration(cleaned: Cleaned) -> dict[str, Any]:
    """Errors and labels of what was restored; those of photographs that were restored by mistake apart."""
    report, poisoned, truth = cleaned.report, cleaned.folder.poisoned, cleaned.folder.truth
    restored, dropped = report.action == "restore", report.action == "drop"
    places, mistaken = np.flatnonzero(restored & poisoned), np.flatnonzero(restored & ~poisoned)
    everything = np.flatnonzero(restored)
    return {
        "restored_poisoned": len(places),
        "dropped_poisoned": (dropped & poisoned).sum(),
        "clean_restored": len(mistaken),
        "clean_dropped": (dropped & ~poisoned).sum(),
        **repair_errors(cleaned.repaired(places)),
        "apd_mistaken": repair_errors(cleaned.repaired(mistaken))["apd"],
        "apd_all": repair_errors(cleaned.repaired(everything))["apd"],
        "lra": metrics.label_restoration_accuracy(report.label[places], truth[places]),
        "lra_all": metrics.label_restoration_accuracy(report.label[everything], truth[everything]),
    }
