"""BaB, backdoor against backdoor (Chen et al., SafeAI 2023): a weak backdoor of our own wins on clean samples only.

The steps stand in the paper's order: 4.1 data preprocessing, 4.2 verification model training, 4.3 inference. Step 4.4,
formal training on what is left, is the user's own. The default preset lets scouts choose cleaner implants, steers
the strength of our backdoor, and decides by class; then the trigger that it finds in the pixels repairs the flags.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..config import BaBConfig
from ..context import Context
from ..detection.choice import Choice
from ..detection.config import DetectionConfig
from ..detection.hypotheses import weigh
from ..detection.mixture import calibrate
from ..detection.seams import seam_splits
from ..detection.verifier import Verifier
from ..explanation.explain import explain
from ..explanation.found import Found
from ..explanation.verdict import Explanation, Suspicion, against_labels, unexplained
from ..restoration.classifier import train_classifier
from ..training.backbones import Backbone
from ..training.fit import Recipe, fit_new
from ..training.loop import on_device, predict
from ..verification.config import VerificationConfig
from ..verification.decision import Decision, by_mixture, resistance, unanimous
from ..verification.models import Verdict, ask, bab_loss
from ..verification.trigger import Trigger, choose_triggers
from .base import MethodInfo
from .cleaning import cleaning, finishing
from .registry import register

STEERING = 0.5
"""Exponent of the correction of a weight by the odds of success: below 1, since one model's rate is noisy."""
TRIES = 2


def find(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: BaBConfig,
    context: Context,
) -> Found:
    """Sections 4.1 to 4.3. See `unpoison.methods.base.Find`."""
    settings = config.verification
    x, y = on_device(images, context.device), torch.from_numpy(labels).to(context.device)

    # 4.1 Data preprocessing, 4.2 verification model training, 4.3 inference.
    with context.stage("verify") as part:
        model, verdicts = _ask_models(x, y, images, num_classes, settings, part)
    rates = [verdict.success(y) for verdict in verdicts]
    if settings.decision == "unanimous":
        decision = unanimous(verdicts, y, num_classes)
    else:
        decision = by_mixture(verdicts, y, num_classes, settings.evidence, settings.explained_classes)
    if max(rates) < rules.LEAST_SUCCESS:
        # Every sample resists a trigger that nobody has learned.
        explanation = unexplained(decision.score.clamp_max(0).cpu().numpy())
    elif settings.decision == "unanimous":
        explanation = unexplained(decision.score.cpu().numpy())
    else:
        explanation = _explained(decision, model, images, labels, num_classes, settings, context)
    return Found(
        explanation=explanation,
        classes=decision.classes,
        model=model,
        votes=torch.stack([verdict.margin > 0 for verdict in verdicts], 1).cpu().numpy(),
        notes=_notes(rates, bool((explanation.score > 0).any())),
    )


def _ask_models(
    x: Tensor,
    y: Tensor,
    images: npt.NDArray[np.uint8],
    num_classes: int,
    settings: VerificationConfig,
    context: Context,
) -> tuple[Backbone, list[Verdict]]:
    """The last verification model, and the answers of N of them.

    Where the strength of our backdoor is steered, models on which it is too strong or too weak are replaced by
    further ones, up to `TRIES` times N; in the end those nearest to the aim count.
    """
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


def _explained(
    decision: Decision,
    model: Backbone,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    settings: VerificationConfig,
    context: Context,
) -> Explanation:
    """Adds images that are joined from others, and repairs the flags with the trigger that the flagged ones share.

    Joined images resist no more than others: what networks see in each part is real.
    """
    x = on_device(images, context.device)
    members = [torch.from_numpy(labels == label).to(context.device) for label in range(num_classes)]
    seams = seam_splits(x, members)
    whole = decision.credible.clone()
    for member, seam in zip(members, seams, strict=True):
        if seam is not None:
            whole[member] &= seam.log_ratio <= 0
    credible = whole.cpu().numpy()
    choice = Choice(settings.backbone, settings.width, settings.training, [])
    with context.stage("train on credible part") as part:
        verifier = train_classifier(images, labels, credible, num_classes, choice, part)
    opinion = predict(verifier, x).logits.softmax(1)
    score = decision.score.clone()
    gated = [entry.label for entry in decision.classes if entry.poisoned]
    for label, (member, seam) in enumerate(zip(members, seams, strict=True)):
        if seam is None or label in gated:
            continue
        joined = weigh(seam, "backdoor", opinion[member], label)
        if joined.possible and joined.evidence >= joined.floor(DetectionConfig()):
            score[member] = calibrate(seam.log_ratio)
            gated.append(label)
    probabilities = opinion.cpu()
    suspicion = Suspicion(
        score=score.cpu().numpy(),
        kind=np.full(len(labels), "backdoor"),
        gated=gated,
        suspects={label: inside.cpu().numpy() for label, inside in decision.suspects.items()},
        probabilities=probabilities.numpy(),
        # Where the verifier was taught the label, its agreement says nothing.
        content=np.where(credible, 0, against_labels(probabilities, labels)),
        doubt=None,
        activations=None,
        model=model,
        verifier=Verifier(verifier, whole),
        choice=choice,
    )
    return explain(images, labels, suspicion, settings.causal_rate, context)


def _odds(rate: float) -> float:
    rate = min(max(rate, 0.01), 0.995)
    return rate / (1 - rate)


def _notes(rates: list[float], flagged: bool) -> list[str]:
    """How strong our backdoor was, and what the answers do not show."""
    notes = ["success rates of our own backdoor, one per model: " + ", ".join(f"{rate:.2f}" for rate in rates)]
    if max(rates) < rules.LEAST_SUCCESS:
        notes.append("not assessable: no model learned our own backdoor. Use more epochs or a larger weight")
    elif not flagged:
        notes.append(
            "not assessable further: no class resists our trigger, so there is no backdoor that models of this size "
            "learn in so few epochs; one that they do not learn would not show"
        )
    return notes


finish = finishing("bab")
run = cleaning(find, finish)

register(
    MethodInfo(
        name="bab",
        run=run,
        find=find,
        finish=finish,
        searching=lambda config: config.verification,
        preset=BaBConfig.preset,
        config_class=BaBConfig,
        on_poison="drop",
        source="Chen et al., Bab: A novel algorithm for training clean model based on poisoned data, SafeAI 2023",
    )
)
