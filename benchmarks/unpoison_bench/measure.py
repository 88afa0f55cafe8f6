"""Measures one row: cleans through the public path, then compares with what is known about the poison."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from unpoison import metrics
from unpoison.attacks import ATTACKS, Attack, PoisonedDataset
from unpoison.data.labelled import LabelledImages
from unpoison.dataset import SanitizedDataset
from unpoison.downstream import train_and_test
from unpoison.report import Report
from unpoison.restoration import Restorer
from unpoison.restoration.classifier import Classifier
from unpoison.restoration.repair import restore_in_batches
from unpoison.training.loop import TrainingConfig, on_device, predict_mirrored
from unpoison.training.threads import free_cores

from .data import load_images
from .machine import MB, machine_facts, peak_memory_mb
from .rows import SOURCES, Row

PASSED_IMAGES = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One row and everything that its process needs."""

    row: Row
    preset: str
    config: Any
    deviations: list[str]
    """How the configuration differs from the preset."""
    device: str
    seed: int
    per_class: int | None
    """At most this many images of each class, in both splits; None for the row's own number and the full test set."""
    downstream: bool
    """Whether a small network is trained on the input and on the output."""

    @property
    def settings(self) -> dict[str, Any]:
        """What must agree between the rows of one table."""
        return {"preset": self.preset, "per_class": self.per_class}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cleaning:
    """The arrays that the measures compare; N samples came in, M are served."""

    originals: LabelledImages
    """N samples before the attack."""
    given: LabelledImages
    """N samples as they were cleaned."""
    served: LabelledImages
    """M samples."""
    source_index: npt.NDArray[np.int64]
    """int64 [M], ascending."""
    poisoned: npt.NDArray[np.bool_]
    """bool [N]."""
    report: Report


def measure(job: Job) -> dict[str, Any]:
    """Runs a row and returns its measures as JSON values; see benchmarks/README.md for what they mean."""
    row, source, device = job.row, SOURCES[job.row.dataset], torch.device(job.device)
    machine = machine_facts(device)
    originals = load_images(row.dataset, "train", job.per_class or source.per_class, seed=0)
    attacks = [ATTACKS[name]() for name in row.attacks]
    dataset: LabelledImages | PoisonedDataset = originals
    if attacks:
        rate = row.rate / len(attacks)
        dataset = PoisonedDataset(originals, attacks, rate=rate, target=source.target, seed=job.seed)
    poisoned = dataset.poisoned if isinstance(dataset, PoisonedDataset) else np.zeros(len(originals), bool)
    before = peak_memory_mb()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        clean = SanitizedDataset(
            dataset, method=row.method, config=job.config, max_altered=row.max_altered, cache_dir=folder,
            device=device, seed=job.seed, progress=False,
        ).prepare()  # fmt: skip
        seconds, peak = time.perf_counter() - start, peak_memory_mb()
        device_peak = torch.cuda.max_memory_allocated(device) / MB if device.type == "cuda" else None
        cleaning = Cleaning(
            originals=originals,
            given=LabelledImages.of(dataset),
            served=LabelledImages.of(clean, originals.images.shape[1:]),
            source_index=clean.source_index,
            poisoned=poisoned,
            report=clean.report,
        )
        restorer = restorer_of(Path(folder), device)
        kept = list(Path(folder).glob("stages/classify/*"))
        classifier = Classifier.load(kept[0], device) if kept else None
    report = cleaning.report
    with free_cores():
        measures = {
            **detection(report, poisoned),
            **restoration(cleaning),
            **clean_pass(cleaning, restorer, device),
            **labels(cleaning, classifier, device),
            **(downstream(job, cleaning, attacks, device) if job.downstream else {}),
        }
    facts = {
        **_asked(job),
        "samples": len(originals),
        "poisoned": int(poisoned.sum()),
        **measures,
        "prepare_seconds": seconds,
        "timings": report.timings,
        "peak_memory_mb": peak,
        "peak_memory_before_mb": before,
        "data_memory_mb": originals.images.nbytes / MB,
        "peak_memory_without_data_mb": peak - originals.images.nbytes / MB,
        "peak_device_memory_mb": device_peak,
        "machine": machine,
        "config": report.config,
        "notes": report.notes,
        "settings": job.settings,
    }
    result: dict[str, Any] = plain(facts)
    return result


def restorer_of(cache: Path, device: torch.device) -> Restorer | None:
    """That of the only run in a cache folder, if it has one."""
    found = list(cache.glob("runs/*/outcome/restorer"))
    return Restorer.from_pretrained(found[0]).to(device) if found else None


def detection(report: Report, poisoned: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """How well scores and flags of N samples find the poison, bool [N]."""
    kept = report.action == "keep"
    return {
        "average_precision": metrics.average_precision(report.score, poisoned),
        "tpr": metrics.recall(report.flagged, poisoned),
        "fpr": metrics.false_positive_rate(report.flagged, poisoned),
        "flagged": report.flagged.sum(),
        "cdr": metrics.clean_data_rate(kept, poisoned),
        "pdr": metrics.poisoned_data_rate(kept, poisoned),
        "poisoned_classes": [entry.label for entry in report.classes if entry.poisoned],
        "classes": [dataclasses.asdict(entry) for entry in report.classes],
        "restored_share": metrics.share(report.action == "restore", poisoned),
        "dropped_share": metrics.share(report.action == "drop", poisoned),
        "clean_restored": (report.action[~poisoned] == "restore").sum(),
        "clean_dropped": (report.action[~poisoned] == "drop").sum(),
    }


def restoration(cleaning: Cleaning) -> dict[str, Any]:
    """Errors of the restored poisoned samples to their originals, and of leaving them alone."""
    index, place = _restored(cleaning)
    original, given = cleaning.originals.images[index], cleaning.given.images[index]
    restored = cleaning.served.images[place]
    changed = metrics.changed_pixels(given, original)
    pixels, pixels_nothing = (
        metrics.average_pixel_difference(images, original, changed) for images in (restored, given)
    )
    return {
        "restored_poisoned": len(index),
        "changed_pixels_share": metrics.mean(changed),
        "error_changed": pixels,
        "error_changed_nothing": pixels_nothing,
        "error_changed_ratio": metrics.ratio(pixels, pixels_nothing),
        "apd": metrics.average_pixel_difference(restored, original),
        "apd_nothing": metrics.average_pixel_difference(given, original),
        "psnr": metrics.peak_signal_noise_ratio(restored, original),
        "ssim": metrics.structural_similarity(restored, original),
    }


def clean_pass(cleaning: Cleaning, restorer: Restorer | None, device: torch.device) -> dict[str, Any]:
    """Mean absolute change (0..1) that the restorer makes to unpoisoned images."""
    kind = None if restorer is None else restorer.architecture.kind
    # Strength 0 marks a restorer that was never trained, because nothing explains the flagged images.
    if restorer is None or (restorer.trigger is None and not restorer.strength.item()):
        return {"restorer_kind": kind, "clean_pass_error": None}
    index = np.random.default_rng(0).permutation(np.flatnonzero(~cleaning.poisoned))[:PASSED_IMAGES]
    passed, given = restore_in_batches(restorer, cleaning.given.images, index, device), cleaning.given.images[index]
    return {"restorer_kind": kind, "clean_pass_error": metrics.average_pixel_difference(passed, given)}


def labels(cleaning: Cleaning, classifier: Classifier | None, device: torch.device) -> dict[str, Any]:
    """Restored labels against the true ones, and what the classifier that restored them says to the true originals."""
    index, place = _restored(cleaning)
    truth = cleaning.originals.labels[index]
    if not len(index):
        return {"lra": None, "lra_ceiling": None, "lra_relative": None}
    lra = metrics.label_restoration_accuracy(cleaning.served.labels[place], truth)
    assert classifier is not None
    originals = on_device(cleaning.originals.images[index], device)
    answers = predict_mirrored(classifier.model, originals, classifier.mirrored).argmax(1).cpu().numpy()
    ceiling = metrics.accuracy(answers, truth)
    return {"lra": lra, "lra_ceiling": ceiling, "lra_relative": metrics.ratio(lra, ceiling)}


def downstream(job: Job, cleaning: Cleaning, attacks: list[Attack], device: torch.device) -> dict[str, Any]:
    """Accuracy and attack success rate of the same small network, trained on the input and on the output.

    The output's accuracy is the papers' DMA or DMA_B, see `Downstream`.
    """
    row = job.row
    test = load_images(row.dataset, "test", job.per_class)
    chosen = cleaning.report.config["chosen"]
    training = TrainingConfig() if chosen is None else TrainingConfig(**chosen["training"])
    out: dict[str, Any] = {}
    for name, data in (("input", cleaning.given), ("output", cleaning.served)):
        result = train_and_test(
            data, test, attacks, SOURCES[row.dataset].target, training, seed=job.seed, device=device
        )
        out |= {f"accuracy_{name}": result.accuracy, f"asr_{name}": result.attack_success_rate}
    return out


def plain(value: Any) -> Any:
    """Plain values for JSON: numpy's scalars as Python's, None for what is not finite."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _asked(job: Job) -> dict[str, Any]:
    """What was to be measured."""
    row = job.row
    return {
        "row": row.name,
        "dataset": row.dataset,
        "attacks": row.attacks,
        "method": row.method,
        "rate": row.rate,
        "target": SOURCES[row.dataset].target,
        "paper": row.paper,
        "preset": "paper" if row.paper else job.preset,
        "deviations": job.deviations,
        "seed": job.seed,
    }


def _restored(cleaning: Cleaning) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The restored poisoned samples: their positions in the input and in the output."""
    index = np.flatnonzero(cleaning.poisoned & (cleaning.report.action == "restore"))
    return index, np.searchsorted(cleaning.source_index, index)
