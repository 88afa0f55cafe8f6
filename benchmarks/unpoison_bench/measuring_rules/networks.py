"""What the numbers of the detector, of the proofs and of the quality checker are compared with: what networks say.

A network learns the set as `pdautor` lets it, and its verifier judges every class. Triggers are those that the poison
shows; a perfect restorer stands for the real one: its images are the originals, and images as they came stand for those
that it fails on.
"""

import numpy as np
import torch

from unpoison import rules
from unpoison.context import Context
from unpoison.detection.config import DEFAULT, DetectionConfig
from unpoison.detection.detected import Learned
from unpoison.detection.detector import learn
from unpoison.detection.doubt import contradictions
from unpoison.detection.gate import foreign_content
from unpoison.detection.hypotheses import Hypothesis, find_hypotheses
from unpoison.detection.mixture import minority_split, whiten
from unpoison.detection.seams import seam_splits
from unpoison.detection.verdicts import verdicts
from unpoison.detection.verifier import Verifier
from unpoison.explanation.stamping import share_turned
from unpoison.restoration.classifier import train_classifier
from unpoison.restoration.quality import _excess
from unpoison.training.loop import on_device, predict, predict_mirrored

from .observing import Observations, Side
from .sets import Data, Flags, Index
from .triggers import fit_poison

MOSTLY = 0.5
"""Share of a part of a class from which it counts as the poison, or the wrong labels, that are in the class."""
_EVIDENCE = {"backdoor": "CLUSTER_EVIDENCE", "mislabelled": "CONTRADICTION_EVIDENCE"}


def observe(data: Data, context: Context, config: DetectionConfig = DEFAULT) -> Observations:
    """Of any set whose classes all have images."""
    seen = Observations()
    learned = learn(data.images, data.labels, data.classes, config, context)
    verifier, probabilities = _classes(seen, data, learned, context)
    if data.poisoned.any():
        _effects(seen, data, learned, verifier, context)
        _quality(seen, data, learned, context)
        seen.add("FURTHER_FOREIGN", "poison", _foreign(probabilities, data, data.poisoned))
        seen.add("SURELY_FOREIGN", "poison", _foreign(probabilities, data, data.poisoned))
    return seen


def _classes(seen: Observations, data: Data, learned: Learned, context: Context) -> tuple[Verifier, torch.Tensor]:
    """The detector's own steps up to the decision about each class."""
    x, y, record = learned.images, learned.labels, learned.record
    members = [y == label for label in range(data.classes)]
    activations = whiten(record.activations, y)
    clusters = [minority_split(activations[member], record.losses[member]) for member in members]
    seams = seam_splits(x, members)
    apart = [[] if seam is None else [seam] for seam in seams]
    verifier, probabilities = verdicts(learned, members, clusters, apart, context)
    contradiction = contradictions(record, activations, probabilities, y)
    hypotheses = find_hypotheses(record, members, clusters, seams, {}, contradiction, probabilities)
    for label, options in enumerate(hypotheses):
        for option in options:
            if not option.joined:
                _part(seen, data, label, option, probabilities)
    return verifier, probabilities


def _part(seen: Observations, data: Data, label: int, option: Hypothesis, probabilities: torch.Tensor) -> None:
    """Of the part of a class that the detector may suspect, if it is the poison, or if there is none in the class."""
    own = np.flatnonzero(data.labels == label)
    inside = own[(option.split.log_ratio > 0).cpu().numpy()]
    right = bool(len(inside)) and (data.poisoned | data.wrong)[inside].mean() >= MOSTLY
    if not right and data.poisoned[own].any():
        return
    side: Side = "poison" if right else "clean"
    if option.possible:
        seen.add(_EVIDENCE[option.kind], side, option.evidence)
    if option.evidence >= rules.CLUSTER_EVIDENCE:  # Others are stopped by that, whatever contradicts them.
        seen.add("LEAST_CONTRADICTED", side, option.contradicted)
    if option.kind == "backdoor" and right:
        seen.add("LEAST_CLUSTER_SHARE", side, option.split.share)
        seen.add("LEAST_CLUSTER", side, len(inside))
        seen.add("LARGEST_MINORITY", side, option.split.share)
    elif option.kind == "backdoor":
        seen.add("FURTHER_FOREIGN", side, _foreign(probabilities, data, inside))
        seen.add("SURELY_FOREIGN", side, _foreign(probabilities, data, np.setdiff1d(own, inside)))


def _foreign(probabilities: torch.Tensor, data: Data, chosen: Index | Flags) -> float:
    return foreign_content(probabilities[torch.from_numpy(chosen)].cpu(), torch.from_numpy(data.labels[chosen]))


def _effects(seen: Observations, data: Data, learned: Learned, verifier: Verifier, context: Context) -> None:
    """How many images stamping the trigger turns into its class, and into others, which it does not lead to."""
    if len(data.attacks) != 1:
        return
    found = fit_poison(data)
    if found is None:
        return
    models, trigger = [learned.model, verifier.model], found.trigger
    target = int(np.bincount(data.labels[data.poisoned]).argmax())
    for label in np.unique(data.labels).tolist():
        side: Side = "poison" if label == target else "clean"
        obeyed, natural = share_turned(trigger, models, data.images, data.labels, [label], context)
        seen.add("PATCH_EFFECT" if trigger.replaces else "CAUSAL_RATE", side, obeyed)
        seen.add("LEARNED_EFFECT", side, obeyed)
        if label == target:
            if obeyed >= rules.CAUSAL_RATE:
                seen.add("NATURAL_EFFECT", side, natural / obeyed)
            share = verifier.learned.cpu().numpy()[data.poisoned].mean()
            seen.add("FEW_LEARNED", "clean" if natural >= rules.CAUSAL_RATE else "poison", share)


def _quality(seen: Observations, data: Data, learned: Learned, context: Context) -> None:
    """What the classifier of the clean part and the suspicious network say to originals, and to images as they came."""
    clean, choice = ~data.poisoned, learned.choice
    classifier = train_classifier(data.images, data.labels, clean, data.classes, choice, context)
    originals, came = (on_device(part[data.poisoned], context.device) for part in (data.originals, data.images))
    reference = on_device(data.images[clean], context.device)
    given, truth = (torch.from_numpy(part[data.poisoned]).to(context.device) for part in (data.labels, data.truth))
    confidence, answer = predict_mirrored(classifier, originals, choice.training.flip).softmax(1).max(1)
    seen.add("LEAST_CONFIDENCE", "poison", confidence[answer == truth].cpu())
    seen.add("LEAST_CONFIDENCE", "clean", confidence[answer != truth].cpu())
    agreeing = float((answer == given).float().mean())
    seen.add("CLEAN_LABEL_SHARE", "poison" if bool((given == truth).all()) else "clean", agreeing)

    usual = predict(learned.model, reference).logits
    classes = predict_mirrored(classifier, reference, choice.training.flip).argmax(1)
    parts: dict[Side, torch.Tensor] = {"poison": originals, "clean": came}
    for side, images in parts.items():
        logits = predict(learned.model, images).logits
        found = predict_mirrored(classifier, images, choice.training.flip).argmax(1)
        seen.add("MOST_PULL", side, _excess(logits, found, given, usual, classes).cpu())
