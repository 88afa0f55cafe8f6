"""Measures a run that cleans: detection, restoration, and networks trained on what came in and on what is served."""

import base64
import dataclasses
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from unpoison import SanitizedDataset, metrics
from unpoison.data.labelled import LabelledImages
from unpoison.downstream import measure_model, train_and_test, train_model
from unpoison.methods import register
from unpoison.report import OnPoison

from .baselines.nad import heal
from .curves import curve
from .flags import by_hand, false_flags
from .measure import Cleaning, clean_pass, detection, restoration, restorer_of
from .runs import Poisoned, Run, load, load_test
from .scales import get_scale

NAD_IMAGES = 0.05
"""Part of the training data that NAD knows to be clean, as in both its paper and BaB's."""
SHEET_COLUMNS = 8
STAGES = {
    "features": "detection",
    "choose": "detection",
    "train on suspect data": "detection",
    "verify": "detection",
    "verify again": "detection",
    "train on credible part": "detection",
    "explain": "detection",
    "train restorer": "content",
    "restore": "content",
    "train on clean part": "labels",
    # Stages that name no parts of their own.
    "learn": "detection",
    "detect": "detection",
    "decide": "detection",
    "combine": "detection",
    "ask": "detection",
    "by-hand": "detection",
    "classify": "labels",
}
"""Stages of the methods, by the column of PD-AutoR's table 9 that they belong to."""
FILES = ("read", "store", "duplicates", "shards")
"""Those of the wrapper, which the paper has not."""


def measure_cleaning(run: Run, device: torch.device) -> dict[str, Any]:
    """The measures of a run that cleans, by group; see benchmarks/README.md."""
    data = load(run)
    on_poison: OnPoison | None = None
    if run.method == "flags":
        flagged = false_flags(data.poisoned, run.false_positives, run.false_negatives, run.seed)
        register(by_hand(flagged))
        on_poison = "restore"
    with tempfile.TemporaryDirectory() as folder:
        served = SanitizedDataset(
            data.given, method=run.method, config=run.config(), on_poison=on_poison, max_altered=1, cache_dir=folder,
            device=device, seed=run.seed, progress=False,
        ).prepare()  # fmt: skip
        cleaned = Cleaning(
            originals=data.originals,
            given=data.given,
            served=LabelledImages.of(served, data.originals.images.shape[1:]),
            source_index=served.source_index,
            poisoned=data.poisoned,
            report=served.report,
        )
        restorer = restorer_of(Path(folder), device)
    report = cleaned.report
    found = detection(report, data.poisoned)
    del found["classes"]
    return {
        "samples": len(report),
        "poisoned": data.poisoned.sum(),
        "detection": found | {"curve": curve(report.score, data.poisoned)},
        "restoration": restoration(cleaned) | labels(cleaned) | clean_pass(cleaned, restorer, device),
        "by_models": by_models(report.votes, data.poisoned),
        "stages": stages(report.timings),
        "timings": report.timings,
        "sheet": sheet(cleaned),
        "downstream": downstream(run, data, cleaned, device) if run.downstream else {},
        "config": report.config,
        "notes": report.notes,
    }


def labels(cleaned: Cleaning) -> dict[str, Any]:
    """APD and LRA as PD-AutoR defines them, over all of D_q: with what was flagged and restored by mistake."""
    index = np.flatnonzero(cleaned.report.action == "restore")
    place = np.searchsorted(cleaned.source_index, index)
    return {
        "apd_all": metrics.average_pixel_difference(cleaned.served.images[place], cleaned.originals.images[index]),
        "lra_all": metrics.label_restoration_accuracy(cleaned.served.labels[place], cleaned.originals.labels[index]),
    }


def by_models(votes: npt.NDArray[np.bool_], poisoned: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """What BaB's rule keeps when only the first n models vote, for every n; votes are bool [N,M]."""
    kept = np.logical_and.accumulate(votes, axis=1)
    return {
        str(n + 1): {
            "cdr": metrics.clean_data_rate(kept[:, n], poisoned),
            "pdr": metrics.poisoned_data_rate(kept[:, n], poisoned),
            "clean": (kept[:, n] & ~poisoned).sum(),
            "residual": (kept[:, n] & poisoned).sum(),
        }
        for n in range(votes.shape[1])
    }


def stages(timings: dict[str, float]) -> dict[str, float]:
    """Seconds by column of PD-AutoR's table 9, from seconds by stage."""
    out = {"detection": 0.0, "content": 0.0, "labels": 0.0}
    for stage, seconds in timings.items():
        if stage not in FILES:
            out[STAGES[stage]] += seconds
    return out | {"total": sum(out.values())}


def sheet(cleaned: Cleaning) -> str | None:
    """Restored poisoned images below their poisoned versions below their originals, as a PNG in base64."""
    index = np.flatnonzero(cleaned.poisoned & (cleaned.report.action == "restore"))[:SHEET_COLUMNS]
    if not len(index):
        return None
    place = np.searchsorted(cleaned.source_index, index)
    rows = [cleaned.originals.images[index], cleaned.given.images[index], cleaned.served.images[place]]
    stream = io.BytesIO()
    Image.fromarray(np.concatenate([np.concatenate(list(row), 1) for row in rows])).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def downstream(run: Run, data: Poisoned, cleaned: Cleaning, device: torch.device) -> dict[str, Any]:
    """Accuracy and attack success rate of one network with one budget, trained on different data.

    "input" is what came in, "output" what is served (DMA), "kept" what was not flagged (DMA_B); for BaB, "healed" is
    the network of "input" after Neural Attention Distillation.
    """
    scale, test = get_scale(run.scale), load_test(run)
    # PD-AutoR mirrors CIFAR-10 and nothing else, BaB augments nothing.
    training = dataclasses.replace(scale.training, flip=run.dataset == "cifar10" and run.method != "bab")
    common: dict[str, Any] = {"backbone": scale.backbone, "width": scale.width, "seed": run.seed, "device": device}
    report = cleaned.report
    kept = report.action == "keep"
    model = train_model(data.given, data.num_classes, training, **common)
    found = {"input": measure_model(model, test, data.attacks, run.target, device=device)}
    for name, arm in (
        ("output", cleaned.served),
        ("kept", LabelledImages(data.given.images[kept], data.given.labels[kept])),
    ):
        if name == "kept" and len(arm) == len(cleaned.served):
            found[name] = found["output"]
        else:
            found[name] = train_and_test(arm, test, data.attacks, run.target, training, **common)
    if run.method == "bab":
        rng = np.random.default_rng(run.seed)
        known = rng.permutation(np.flatnonzero(~data.poisoned))[: max(2, round(NAD_IMAGES * len(report)))]
        images, classes = data.originals.images[known], data.originals.labels[known]
        healed = heal(model, images, classes, scale.nad, device=device, seed=run.seed)
        found["healed"] = measure_model(healed, test, data.attacks, run.target, device=device)
    return {name: {"accuracy": result.accuracy, "asr": result.attack_success_rate} for name, result in found.items()}
