"""Measures detectors on one trained network: PD-AutoR's score as published and ours, and published baselines."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..config import PDAutoRConfig
from ..detection.detector import Learned, judge, learn
from ..methods.pdautor import conclude
from ..metrics import average_precision, false_positive_rate, mean, recall
from ..progress import Progress
from .baselines import BASELINES, TOLD
from .curves import curve
from .runs import Poisoned, Run, load

NO_RATE = 0.01
"""What detectors that do not use the rate are told where there is no poison."""


def measure_detectors(run: Run, device: torch.device) -> dict[str, Any]:
    """Trains M once and asks every detector; those that must be told the rate have nothing to say about clean data."""
    data, config, progress = load(run), run.config(), Progress(False)
    assert isinstance(config, PDAutoRConfig)
    images, labels = data.given.images, data.given.labels
    common: dict[str, Any] = {"seed": run.seed, "progress": progress}
    learned = learn(images, labels, data.num_classes, config.detection, device=device, **common)
    mixture = judge(learned, data.num_classes, config.detection, **common)
    alone = judge(without_losses(learned, run.seed), data.num_classes, config.detection, **common)
    whole = conclude(mixture, images, labels, config, device=device, **common)
    found = {
        "pdautor": _measures(data, whole.explanation.score, whole.flagged),
        "mixture": _measures(data, _array(mixture.score), _array(mixture.flagged)),
        "mixture_post_training": _measures(data, _array(alone.score), _array(alone.flagged)),
    }
    rate = mean(data.poisoned) or 0.0
    if rate:
        svd = dataclasses.replace(config.detection, outliers="svd", poison_rate=rate)
        published = judge(learned, data.num_classes, svd, **common)
        found["svd"] = _measures(data, _array(published.score), _array(published.flagged))
    features = _array(learned.record.activations)
    for name, detect in BASELINES.items():
        if rate or name not in TOLD:
            with progress.stage(name):
                verdict = detect(features, labels, rate or NO_RATE)
            found[name] = _measures(data, verdict.score, verdict.flagged)
    losses, choice = _array(learned.record.losses), learned.choice
    return {
        "samples": len(labels),
        "poisoned": data.poisoned.sum(),
        "detectors": found,
        "losses": {
            name: losses[members].mean(0).tolist() if members.any() else None
            for name, members in (("poisoned", data.poisoned), ("clean", ~data.poisoned))
        },
        "timings": progress.timings,
        "config": dataclasses.asdict(config) | {"backbone": choice.backbone, "width": choice.width},
        "training": dataclasses.asdict(choice.training),
        "notes": choice.notes,
    }


def without_losses(learned: Learned, seed: int) -> Learned:
    """What is left of the features when the loss trajectories are shuffled, so that they say nothing of a sample."""
    losses = learned.record.losses
    order = torch.randperm(len(losses), generator=torch.Generator().manual_seed(seed)).to(losses.device)
    return learned._replace(record=learned.record._replace(losses=losses[order]))


def _array(values: torch.Tensor) -> npt.NDArray[Any]:
    out: npt.NDArray[Any] = values.cpu().numpy()
    return out


def _measures(data: Poisoned, score: npt.NDArray[np.float32], flagged: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "average_precision": average_precision(score, data.poisoned),
        "tpr": recall(flagged, data.poisoned),
        "fpr": false_positive_rate(flagged, data.poisoned),
        "flagged": flagged.sum(),
        "curve": curve(score, data.poisoned),
    }
