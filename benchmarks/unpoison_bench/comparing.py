"""Comparisons as experiments: runs that they may share, and tables, JSON and figures of what was measured."""

import dataclasses
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from unpoison.data.files import publish_bytes
from unpoison.training.devices import checked_device
from unpoison.training.threads import free_cores

from .cleaned import measure_cleaning
from .comparison import Comparison, Line, Measured
from .data import images_file
from .detectors import measure_detectors
from .experiment import Experiment, Published, Unit
from .machine import MB, machine_facts, peak_memory_mb
from .markdown import as_json, markdown
from .measure import plain
from .results import read_json, write_json
from .runs import Run, plain_fields
from .scales import Scale, get_scale

Job = tuple[Run, str]
"""A run and the device that computes it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaledComparison(Experiment):
    """A comparison at one scale: measures into `{out}/{scale}-{device}/runs/`, and writes `{name}.md`, `.json` and, of
    figures, `.png` beside that folder."""

    comparison: Comparison
    scale: str = "cpu"
    """One of `SCALES`."""
    seeds: tuple[int, ...] = ()
    """The scale's where empty."""

    @property
    def folder(self) -> Path:
        """Of tables and figures."""
        return self.out / f"{self.scale}-{self.device_name}"

    @property
    def lines(self) -> list[Line]:
        """Those of the scale."""
        return self.comparison.lines(get_scale(self.scale))

    @property
    def rows(self) -> list[str]:
        return list(dict.fromkeys(line.row for line in self.lines))

    def units(self, rows: Sequence[str]) -> list[Unit]:
        lines = self.lines
        return [
            self._unit(row, line.run.with_seed(seed))
            for seed in self._seeds
            for row in rows
            for line in lines
            if line.row == row
        ]

    def check(self, todo: Sequence[Unit]) -> None:
        checked_device(self.device)
        rows = {unit.row for unit in todo}
        for dataset in {line.run.dataset for line in self.lines if line.row in rows}:
            images_file(dataset, "test")

    def publish(self) -> Published:
        measured = [
            Measured(line, {seed: read_json(self._file(line.run.with_seed(seed))) for seed in self._seeds})
            for line in self.lines
        ]
        return show(self.comparison, get_scale(self.scale), measured, self.folder)

    @property
    def _seeds(self) -> tuple[int, ...]:
        return self.seeds or get_scale(self.scale).seeds

    def _file(self, run: Run) -> Path:
        return self.folder / "runs" / run.file

    def _unit(self, row: str, run: Run) -> Unit:
        path = self._file(run)
        return Unit(row, path.stem, path, partial(_job, run, self.device), measure_run)


def show(comparison: Comparison, scale: Scale, measured: Sequence[Measured], folder: Path) -> Published:
    """Writes table, JSON and a figure of what was measured into a folder."""
    path = folder / f"{comparison.name}.md"
    published = Published(markdown(comparison, scale, measured), as_json(comparison, scale, measured))
    write_json(path.with_suffix(".json"), published.facts)
    publish_bytes(path, published.text.encode())
    done = [entry for entry in measured if entry.done]
    if comparison.plot and done:
        comparison.plot(path.with_suffix(".png"), comparison, done)
    return published


def measure_run(job: Job) -> dict[str, Any]:
    """Everything that is kept of a run, as JSON values."""
    run, device = job[0], torch.device(job[1])
    machine = machine_facts(device)
    start = time.perf_counter()
    with free_cores():
        measures = (measure_detectors if run.method == "detectors" else measure_cleaning)(run, device)
    result: dict[str, Any] = plain(
        {
            "run": plain_fields(run),
            "size": plain_fields(get_scale(run.scale)),
            **measures,
            "seconds": time.perf_counter() - start,
            "peak_memory_mb": peak_memory_mb(),
            "peak_device_memory_mb": torch.cuda.max_memory_allocated(device) / MB if device.type == "cuda" else None,
            "machine": machine,
        }
    )
    return result


def _job(run: Run, device: str) -> Job:
    return run, device
