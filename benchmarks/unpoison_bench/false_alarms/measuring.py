"""Measures one set: cleans it through the public path, then looks for harm and for what was missed."""

import dataclasses
import tempfile
import time
import warnings
from typing import Any

import numpy as np
import torch

from unpoison import metrics
from unpoison.dataset import SanitizedDataset
from unpoison.downstream import measure_model, predictions
from unpoison.report import Report
from unpoison.training.threads import free_cores

from ..harm import KINDS, found, harm, noise
from ..machine import cpu_seconds, machine_facts
from ..measure import plain
from ..shapes import Pixels, of_shape, pixels_of, working_shape
from ..victims import train_victim
from .cases import Case
from .loading import Loaded, load, load_test


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One set and everything that its process needs."""

    case: Case
    method: str
    preset: str
    device: str
    seed: int
    """Of the cleaning and the networks; added to that of the choice of poisoned images."""
    downstream: bool
    """Whether networks are trained on the input and on the output of poisoned sets."""


def measure(job: Job) -> dict[str, Any]:
    """Runs a set and returns its measures as JSON values; see benchmarks/README.md for what they mean.

    Raises:
        DatasetError: a file is missing, or holds too few images.
    """
    case, device = job.case, torch.device(job.device)
    machine = machine_facts(device)
    data = load(case, job.seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        start, cpu = time.perf_counter(), cpu_seconds()
        clean = SanitizedDataset(
            data.given, method=job.method, config=job.preset, cache_dir=folder, device=device, seed=job.seed,
            progress=False,
        ).prepare()  # fmt: skip
        seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
        served, report, source_index = [clean[index] for index in range(len(clean))], clean.report, clean.source_index
    restored = {
        int(source): pixels_of(item[0])
        for source, item in zip(source_index, served, strict=True)
        if report.action[source] == "restore"
    }
    facts = {
        "set": case.name,
        "half": case.half,
        "noisy": case.noisy,
        "source": case.draw.source,
        "attacks": [] if case.poison is None else case.poison.attacks,
        "rate": None if case.poison is None else case.poison.rate,
        "target": None if case.poison is None else case.poison.target,
        "method": job.method,
        "preset": job.preset,
        "seed": job.seed,
        "samples": len(report),
        "classes": len(np.unique(data.given.labels)),
        "poisoned": data.poisoned.sum(),
        **harm(report, data.poisoned, data.wrong),
        **noise(report, data.poisoned, data.wrong),
        **({} if case.poison is None else found(report, data.poisoned, data.wrong)),
        "restored": restored_errors(data, report, restored),
        **(downstream(job, data, served, device) if job.downstream and case.poison else {}),
        "wall_seconds": seconds,
        "cpu_seconds": cpu,
        "timings": report.timings,
        "notes": report.notes,
        "warnings": [str(warning.message) for warning in warned],
        "config": report.config,
        "machine": machine,
    }
    result: dict[str, Any] = plain(facts)
    return result


def restored_errors(data: Loaded, report: Report, restored: dict[int, Pixels]) -> dict[str, Any]:
    """By kind and over all: mean absolute errors (0..1) of restored images to their originals, over whole images, and
    of leaving them alone. Clean ones that were restored by mistake are apart: leaving them alone has no error.

    Args:
        restored: uint8 [H,W,C] by position.
    """
    groups = {kind: data.poisoned & (report.kind == kind) for kind in KINDS}
    groups |= {"all": data.poisoned, "clean": ~data.poisoned}
    out = {}
    for name, group in groups.items():
        places = [place for place in restored if group[place]]
        originals = {place: pixels_of(data.originals[place][0]) for place in places}
        out[name] = {
            "count": len(places),
            "error": metrics.mean(np.array([_error(restored[place], originals[place]) for place in places])),
            "error_nothing": metrics.mean(
                np.array([_error(pixels_of(data.given[place][0]), originals[place]) for place in places])
            ),
        }
    return out


def downstream(job: Job, data: Loaded, served: list[Any], device: torch.device) -> dict[str, Any]:
    """Accuracy and attack success rate of one small network, trained on the input and on the output; and the rate at
    which it says the attacker's class to the same images unstamped, which a poor network does, too."""
    assert job.case.poison is not None
    target = job.case.poison.target
    shape = working_shape(data.given)
    test = load_test(job.case, shape)
    out: dict[str, Any] = {}
    for name, arm in (("input", data.given), ("output", served)):
        with free_cores():
            model = train_victim(of_shape(arm, shape), int(test.labels.max()) + 1, seed=job.seed, device=device)
            result = measure_model(model, test, data.attacks, target, device=device)
            unstamped = predictions(model, device)(test.images[test.labels != target])
        out |= {
            f"accuracy_{name}": result.accuracy,
            f"asr_{name}": result.attack_success_rate,
            f"unstamped_{name}": metrics.mean(unstamped == target),
        }
    return out


def _error(image: Pixels, original: Pixels) -> float:
    return float(np.abs(image.astype(np.int16) - original).mean() / 255)
