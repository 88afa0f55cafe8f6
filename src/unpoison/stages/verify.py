"""BaB 4.1 to 4.3: implants our own weak backdoor into models, and asks them about every sample.

The default preset lets scouts choose cleaner implants, and steers the strength of our backdoor.
"""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..context import Context
from ..data.checksums import Checked
from ..data.store import ImageStore
from ..training.backbones import Backbone
from ..training.fit import Recipe, fit_new
from ..training.loop import on_device
from ..training.weights import load_backbone, save_backbone
from ..verification.config import VerificationConfig
from ..verification.decision import resistance
from ..verification.models import Verdict, ask, bab_loss
from ..verification.trigger import Trigger, choose_triggers
from .stage import Inputs, Stage

STEERING = 0.5
"""Exponent of the correction of a weight by the odds of success: below 1, since one model's rate is noisy."""
TRIES = 2
_MODEL, _ANSWERS = "model.safetensors", "answers.npz"
_SCHEMA = {"margin": ("f", 2), "confidence": ("f", 2), "implanted": ("b", 2)}


def run(inputs: Inputs, out: Path, config: VerificationConfig, context: Context) -> None:
    """Writes what `load` reads."""
    store = ImageStore.open(inputs["store"])
    with context.stage("verify") as part:
        model, verdicts = ask_models(store.images, store.labels, store.num_classes, config, part)
    save_backbone(model, out / _MODEL)
    arrays = {name: torch.stack([getattr(v, name) for v in verdicts]).cpu().numpy() for name in _SCHEMA}
    np.savez(out / _ANSWERS, allow_pickle=False, **arrays)


def load(folder: Path, device: torch.device) -> tuple[Backbone, list[Verdict]]:
    """See `ask_models`."""
    files = Checked(folder)
    arrays = files.arrays(_ANSWERS, _SCHEMA)
    columns = zip(*(torch.from_numpy(arrays[name]).to(device) for name in _SCHEMA), strict=True)
    return load_backbone(files.check(_MODEL), device), [Verdict(*answers) for answers in columns]


def ask_models(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    settings: VerificationConfig,
    context: Context,
) -> tuple[Backbone, list[Verdict]]:
    """4.1 Data preprocessing, 4.2 verification model training, 4.3 inference: the last model, and the answers of N.

    Where the strength of our backdoor is steered, models on which it is too strong or too weak are replaced by
    further ones, up to `TRIES` times N; in the end those nearest to the aim count.
    """
    x, y = on_device(images, context.device), torch.from_numpy(labels).to(context.device)
    goal = settings.success
    most = settings.scouts + settings.models * (1 if goal is None else TRIES)
    # Models take turns with the places: an attacker's trigger under one of ours blinds few of them. The paper has one.
    triggers = choose_triggers(images, settings.trigger_size, context.seed)[: 1 if goal is None else None]
    weight, pool = settings.weight, torch.ones_like(y, dtype=torch.bool)
    scouts: list[Verdict] = []
    asked: list[Verdict] = []
    for number in range(most):
        trigger = triggers[number % len(triggers)]
        one = Context(context.device, context.seed * 1000 + number)
        model, verdict = _verify(x, y, num_classes, pool, trigger, weight, settings, one)
        if goal is not None:
            weight *= (_odds(goal) / _odds(verdict.success(y))) ** STEERING
        if len(scouts) < settings.scouts:
            scouts.append(verdict)
            pool = _lower_half(resistance(scouts), y)
        else:
            asked.append(verdict)
        useful = sum(
            goal is None or rules.USEFUL_SUCCESS[0] <= verdict.success(y) <= rules.USEFUL_SUCCESS[1]
            for verdict in asked
        )
        context.update((len(scouts) + useful) / (settings.scouts + settings.models))
        if useful == settings.models:
            break
    if goal is not None:
        asked.sort(key=lambda verdict: abs(math.log(_odds(verdict.success(y)) / _odds(goal))))
    return model, asked[: settings.models]


def _verify(
    x: Tensor,
    y: Tensor,
    num_classes: int,
    pool: Tensor,
    trigger: Trigger,
    weight: float,
    settings: VerificationConfig,
    context: Context,
) -> tuple[Backbone, Verdict]:
    """Trains one verification model on a random part of the data, and asks it about all of it.

    Args:
        pool: bool [N], the samples that may be implanted.
    """
    generator = torch.Generator().manual_seed(context.seed)
    part = torch.randperm(len(y), generator=generator)[: max(2, round(settings.subset * len(y)))].to(y.device)
    candidates = part[pool[part]]
    if settings.success is not None:
        candidates = candidates[_turns(y[candidates]).argsort(stable=True)]
    implanted = torch.zeros_like(pool)
    implanted[candidates[: max(1, round(settings.implants * len(part)))]] = True
    loss = bab_loss(implanted[part], trigger, num_classes, settings.alpha, weight)
    recipe = Recipe(settings.backbone, settings.width, settings.training)
    model = fit_new(x[part], y[part], num_classes + 1, recipe, context, loss=loss)
    return model, ask(model, x, implanted, trigger, num_classes)


def _turns(labels: Tensor) -> Tensor:
    """How many samples of the same class come before each, int64 [n]: in their order, classes take turns."""
    turns = torch.empty_like(labels)
    for label in torch.unique(labels):
        members = labels == label
        turns[members] = torch.arange(int(members.sum()), device=labels.device)
    return turns


def _lower_half(values: Tensor, y: Tensor) -> Tensor:
    """bool [N], the half of each class with the lower values [N]."""
    lower = torch.zeros_like(values, dtype=torch.bool)
    for label in torch.unique(y):
        members = y == label
        lower[members] = values[members] <= values[members].median()
    return lower


def _odds(rate: float) -> float:
    rate = min(max(rate, 0.01), 0.995)
    return rate / (1 - rate)


VERIFY = Stage(name="verify", makes="what verification models answered", run=run, config_class=VerificationConfig)
