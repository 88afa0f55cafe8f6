"""Measures one set: cleans it through the public path, then looks for harm and for what was missed."""

import dataclasses
import os
import tempfile
import time
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from unpoison import metrics
from unpoison.data.labelled import LabelledImages
from unpoison.dataset import SanitizedDataset
from unpoison.downstream import measure_model, predictions, train_model
from unpoison.report import Report
from unpoison.training.loop import TrainingConfig
from unpoison.training.threads import free_cores

from ..machine import machine_facts
from ..measure import detection, plain
from .cases import Case
from .loading import Loaded, Pixels, load, load_test, of_shape, pixels_of, working_shape

KINDS = ("backdoor", "mislabelled")
BACKBONE, WIDTH = "resnet9", 16
EPOCHS, SMALL_SET, SMALL_BATCH, BATCH = 15, 4000, 32, 128
"""Of the network that shows whether a trigger is obeyed: batches are small where there are few images."""


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
        start, cpu = time.perf_counter(), _cpu_seconds()
        clean = SanitizedDataset(
            data.given, method=job.method, config=job.preset, cache_dir=folder, device=device, seed=job.seed,
            progress=False,
        ).prepare()  # fmt: skip
        seconds, cpu = time.perf_counter() - start, _cpu_seconds() - cpu
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


def harm(report: Report, poisoned: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """What happened to the clean samples: those without poison, bool [N], whose label is not wrong, bool [N]."""
    clean = ~poisoned & ~wrong
    altered = report.action != "keep"
    labels = report.original_label
    shares = {int(label): float(altered[clean & (labels == label)].mean()) for label in np.unique(labels[clean])}
    worst = max(shares, key=lambda label: shares[label])
    return {
        "clean": clean.sum(),
        "clean_flagged": (report.flagged & clean).sum(),
        "clean_flagged_share": metrics.share(report.flagged, clean),
        "clean_altered": (altered & clean).sum(),
        "clean_kinds": {kind: (clean & report.flagged & (report.kind == kind)).sum() for kind in KINDS},
        "worst_class": worst,
        "worst_class_altered_share": shares[worst],
        "poisoned_classes": [entry.label for entry in report.classes if entry.poisoned],
    }


def noise(report: Report, poisoned: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """How much of what is flagged, apart from poison, has a wrong label; and what of it is called a backdoor."""
    others = report.flagged & ~poisoned
    return {
        "wrong": wrong.sum(),
        "wrong_flagged": (others & wrong).sum(),
        "flagged_wrong_share": metrics.share(wrong, others),
        "called_backdoor": (others & (report.kind == "backdoor")).sum(),
    }


def found(report: Report, poisoned: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """How well the poison is found; samples with wrong labels count for no false alarms."""
    names = ("average_precision", "tpr", "restored_share", "dropped_share")
    measures = detection(report, poisoned)
    return {name: measures[name] for name in names} | {"fpr": metrics.share(report.flagged, ~poisoned & ~wrong)}


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
        images: LabelledImages = of_shape(arm, shape)
        batch = SMALL_BATCH if len(images) < SMALL_SET else BATCH
        training = TrainingConfig(epochs=EPOCHS, batch_size=batch)
        with free_cores():
            model = train_model(
                images,
                int(test.labels.max()) + 1,
                training,
                backbone=BACKBONE,
                width=WIDTH,
                seed=job.seed,
                device=device,
            )
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


def _cpu_seconds() -> float:
    """Of this process and of those that it has started and that ended."""
    return sum(os.times()[:4])
