"""BaB 4.3: decides by class which samples resist our backdoor, and asks the pixels what they share."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from .. import rules
from ..context import Context
from ..data.store import ImageStore
from ..detection.choice import Choice
from ..detection.config import DetectionConfig
from ..detection.hypotheses import SEAM, weigh
from ..detection.mixture import calibrate
from ..detection.seams import seam_splits
from ..detection.verifier import Verifier
from ..explanation.explain import explain
from ..explanation.found import Found
from ..explanation.verdict import Explanation, Suspicion, against_labels, unexplained
from ..restoration.classifier import train_classifier
from ..training.backbones import Backbone
from ..training.loop import on_device, predict
from ..verification.config import VerificationConfig
from ..verification.decision import Decision, by_mixture, unanimous
from ..verification.models import Verdict
from .stage import Inputs, Stage
from .verify import load


def run(inputs: Inputs, out: Path, config: VerificationConfig, context: Context) -> None:
    """Writes a `Found`."""
    store = ImageStore.open(inputs["store"])
    model, verdicts = load(inputs["answers"], context.device)
    conclude(model, verdicts, store.images, store.labels, store.num_classes, config, context).save(out)


def conclude(
    model: Backbone,
    verdicts: list[Verdict],
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    settings: VerificationConfig,
    context: Context,
) -> Found:
    """What the answers of verification models say, of which one stands for the network that obeys the trigger."""
    y = torch.from_numpy(labels).to(context.device)
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
        joined = weigh(seam, SEAM, opinion[member], label)
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


DECIDE = Stage(name="decide", makes="the verdict of BaB", run=run, config_class=VerificationConfig)
