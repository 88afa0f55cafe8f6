"""Measures detectors on the same images: ours, PD-AutoR's score as published, and baselines on the same features."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from unpoison.config import BaBConfig, PDAutoRConfig
from unpoison.context import Context
from unpoison.detection.detected import Learned
from unpoison.detection.detector import judge, learn
from unpoison.downstream import measure_model
from unpoison.explanation.found import Found
from unpoison.metrics import average_precision, false_positive_rate, mean, recall
from unpoison.stages import decide, explain
from unpoison.stages.combine import combine
from unpoison.stages.verify import ask_models

from .baselines import BASELINES, TOLD
from .curves import curve
from .runs import Poisoned, Run, load, load_test
from .scales import get_scale

NO_RATE = 0.01
"""What detectors that do not use the rate are told where there is no poison."""


def measure_detectors(run: Run, device: torch.device) -> dict[str, Any]:
    """Asks every detector; those that must be told the rate have nothing to say about clean data.

    PD-AutoR's network M is trained once, for it and for all that work on features. M obeys the trigger where the attack
    takes hold at all, so its accuracy and ASR stand beside.
    """
    data, config = load(run), run.config()
    assert isinstance(config, PDAutoRConfig)
    images, labels = data.given.images, data.given.labels
    context, context_of_bab = Context(device, run.seed), Context(device, run.seed)
    learned = learn(images, labels, data.num_classes, config.detection, context)
    mixture = judge(learned, data.num_classes, config.detection, context)
    alone = judge(without_losses(learned, run.seed), data.num_classes, config.detection, context)
    whole = explain.conclude(mixture, images, labels, config.detection, context)
    verifiers = BaBConfig.preset(run.preset or get_scale(run.scale).preset)
    with context_of_bab.stage("verify") as part:
        asked = ask_models(images, labels, data.num_classes, verifiers.verification, part)
    answered = decide.conclude(*asked, images, labels, data.num_classes, verifiers.verification, context_of_bab)
    found = {
        "pdautor": _verdict(data, whole),
        "bab": _verdict(data, answered),
        "ensemble": _verdict(data, combine(whole, answered, labels)),
        "mixture": _measures(data, _array(mixture.score), _array(mixture.flagged)),
        "mixture_post_training": _measures(data, _array(alone.score), _array(alone.flagged)),
    }
    rate = mean(data.poisoned) or 0.0
    if rate:
        svd = dataclasses.replace(config.detection, outliers="svd", poison_rate=rate)
        published = judge(learned, data.num_classes, svd, context)
        found["svd"] = _measures(data, _array(published.score), _array(published.flagged))
    features = _array(learned.record.activations)
    for name, detector in BASELINES.items():
        if rate or name not in TOLD:
            with context.stage(name):
                verdict = detector.detect(features, labels, rate or NO_RATE)
            found[name] = _measures(data, verdict.score, verdict.flagged)
    losses, choice = _array(learned.record.losses), learned.choice
    obeyed = measure_model(learned.model, load_test(run), data.attacks, run.target, device=device)
    return {
        "samples": len(labels),
        "poisoned": data.poisoned.sum(),
        "model": {"accuracy": obeyed.accuracy, "asr": obeyed.attack_success_rate},
        "detectors": found,
        "losses": {
            name: losses[members].mean(0).tolist() if members.any() else None
            for name, members in (("poisoned", data.poisoned), ("clean", ~data.poisoned))
        },
        "timings": context.progress.timings,
        "timings_of_bab": context_of_bab.progress.timings,
        "config": dataclasses.asdict(config) | {"backbone": choice.backbone, "width": choice.width},
        "training": dataclasses.asdict(choice.training),
        "notes": choice.notes + answered.notes,
    }


def without_losses(learned: Learned, seed: int) -> Learned:
    """What is left of the features when the loss trajectories are shuffled, so that they say nothing of a sample."""
    losses = learned.record.losses
    order = torch.randperm(len(losses), generator=torch.Generator().manual_seed(seed)).to(losses.device)
    return learned._replace(record=learned.record._replace(losses=losses[order]))


def _array(values: torch.Tensor) -> npt.NDArray[Any]:
    out: npt.NDArray[Any] = values.cpu().numpy()
    return out


def _verdict(data: Poisoned, found: Found) -> dict[str, Any]:
    return _measures(data, found.explanation.score, found.flagged)


def _measures(data: Poisoned, score: npt.NDArray[np.float32], flagged: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "average_precision": average_precision(score, data.poisoned),
        "tpr": recall(flagged, data.poisoned),
        "fpr": false_positive_rate(flagged, data.poisoned),
        "flagged": flagged.sum(),
        "curve": curve(score, data.poisoned),
    }
