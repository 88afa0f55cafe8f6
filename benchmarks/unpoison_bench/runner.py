"""`unpoison bench NAME`: measures the runs of a comparison that are not there yet, and shows all of them."""

import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import torch

from unpoison.data.files import publish_bytes
from unpoison.errors import ConfigError, UnpoisonError
from unpoison.training.devices import checked_device
from unpoison.training.threads import free_cores

from .cleaned import measure_cleaning
from .comparison import Comparison, Measured
from .comparisons import get_comparison
from .data import images_file
from .detectors import measure_detectors
from .machine import MB, machine_facts, peak_memory_mb
from .markdown import as_json, markdown
from .measure import plain
from .processes import Say, Task, measure_each, read_json, write_json
from .runs import Run, plain_fields
from .scales import Scale, get_scale

Job = tuple[Run, str]
"""A run and the device that computes it."""


def run_experiment(
    name: str,
    scale: str = "cpu",
    out: str | Path = "benchmarks/results",
    *,
    device: str = "cpu",
    seeds: Sequence[int] | None = None,
    rows: Sequence[str] | None = None,
    force: bool = False,
    jobs: int = 1,
    say: Say = lambda line: None,
    measure: Callable[[Job], dict[str, Any]] | None = None,
) -> Path:
    """Measures into `{out}/{scale}-{device}/runs/` and writes `{name}.md`, `.json` and, of figures, `.png` beside it.

    Runs whose file exists are skipped, whichever comparison has made them, so that an interrupted one continues.

    Args:
        name: one of `COMPARISONS`.
        scale: one of `SCALES`.
        device: to compute on, such as "cpu" or "cuda".
        seeds: the scale's when None.
        rows: measures only rows that match one of these names, in which * stands for anything; the table has all.
        force: whether to measure runs again.
        jobs: how many runs are measured at a time, each with its share of the threads.
        say: takes one line of progress per run.
        measure: how a run is measured; a function of a module. `measure_run` when None.

    Returns:
        The Markdown file.

    Raises:
        ConfigError: name, scale or device is unknown, no row matches, or there are no jobs.
        DatasetError: the images are missing.
        UnpoisonError: runs failed; the others are in the table.
    """
    comparison, size = get_comparison(name), get_scale(scale)
    checked_device(device)
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    lines, chosen = comparison.lines(size), tuple(dict.fromkeys(seeds or size.seeds))
    wanted = [line for line in lines if rows is None or any(fnmatchcase(line.row, row) for row in rows)]
    if not wanted:
        raise ConfigError(f"no row matches: choose among {', '.join(dict.fromkeys(line.row for line in lines))}")
    runs = list(dict.fromkeys(line.run.with_seed(seed) for seed in chosen for line in wanted))
    for dataset in {run.dataset for run in runs}:
        images_file(dataset, "test")
    folder = Path(out) / f"{scale}-{device.replace(':', '')}"
    files = {run: folder / "runs" / run.file for run in runs}
    todo = [run for run in runs if force or not files[run].exists()]
    say(f"{len(runs) - len(todo)} of {len(runs)} runs are done already, {len(todo)} to go: {folder}")

    def job(run: Run) -> Job:
        return run, device

    tasks = [Task(files[run].stem, files[run], partial(job, run), measure or measure_run) for run in todo]
    failed = measure_each(tasks, "runs", say, jobs)
    measured = [
        Measured(line, {seed: read_json(folder / "runs" / line.run.with_seed(seed).file) for seed in chosen})
        for line in lines
    ]
    path = show(comparison, size, measured, folder)
    if failed:
        raise UnpoisonError(f"{', '.join(failed)} failed, see above; run again to repeat only these")
    return path


def show(comparison: Comparison, scale: Scale, measured: Sequence[Measured], folder: Path) -> Path:
    """Writes table, JSON and a figure of what was measured into a folder; returns the table's file."""
    path = folder / f"{comparison.name}.md"
    write_json(path.with_suffix(".json"), as_json(comparison, scale, measured))
    publish_bytes(path, markdown(comparison, scale, measured).encode())
    done = [entry for entry in measured if entry.done]
    if comparison.plot and done:
        comparison.plot(path.with_suffix(".png"), comparison, done)
    return path


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
