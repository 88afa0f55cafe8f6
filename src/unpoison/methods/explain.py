"""Detection and restoration meet once: a trigger found in the pixels confirms classes and repairs the flags."""

import dataclasses
from typing import NamedTuple, Self, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..detection.detector import Detection
from ..detection.doubt import log_odds_against
from ..detection.gate import foreign_content
from ..progress import Progress
from ..restoration import Estimate
from ..training.backbones import Backbone
from .fit import DETECTOR_SAY, Fit, Group, fit_trigger, pixel_evidence
from .stamping import share_turned

PATCH_RATE = 0.5
"""Least effect of a patch: objects and strokes are local, too, and pull an image towards their class."""
NATURAL = 0.3
"""A pattern that moves the verifier more than this fraction of the suspicious model belongs to the class."""
DOUBTED = 16
"""So many samples of a class whose labels are believed least are searched for a trigger. Measured: of 30 blended images
of CIFAR-10, 11 are among them, and 14 among the first 24; where clean ones are more, no trigger is found."""
SEARCHED = 50
"""So many classes are searched, those first whose most doubted samples are doubted most: each takes a second or two."""
FURTHER, FOREIGN = 8, 0.5
"""Such a trigger needs so many further samples that show it, with so much foreign content: nobody chose those for what
the verifier says. Measured: poison has .59 and more."""
SURELY_FOREIGN = 0.7
"""Where the rest of a class has more foreign content than this, the rest is the poison, and the suspects share what the
class looks like. Less may be the mistake of a verifier that has learned the wrong half. Measured: clean aeroplanes
beside poisoned ones have .60, warped signs of all classes .82."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """A group of flagged samples that one trigger explains, or that none does."""

    classes: list[int]
    members: npt.NDArray[np.bool_]
    """bool [N]; the flagged samples of these classes."""
    estimate: Estimate | None

    @property
    def place(self) -> str:
        """Its classes, for the report."""
        return f"class {', '.join(map(str, self.classes))}" if self.classes else "all classes"

    def describe(self) -> str:
        """A line for the report."""
        if self.estimate is None:
            return f"{self.place}: no simple trigger explains the flagged images"
        return f"{self.place}: the flagged images share a trigger of kind {self.estimate.kind}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """The detector's verdict after the pixels were heard."""

    score: npt.NDArray[np.float32]
    """float32 [N]; above 0 = flagged."""
    kind: npt.NDArray[np.str_]
    findings: list[Finding]


def unexplained(score: npt.NDArray[np.float32], threshold: float = 0.0) -> Explanation:
    """A verdict whose pixels nobody asks: float32 [N], flagged above the threshold."""
    flags = score > threshold
    found = [Finding(classes=[], members=flags, estimate=None)] if flags.any() else []
    return Explanation(score=score, kind=np.full(len(score), "backdoor"), findings=found)


class Suspicion(NamedTuple):
    """A detector's verdict on N samples."""

    score: npt.NDArray[np.float32]
    """float32 [N], log-odds of being poisoned; above 0 = flagged."""
    kind: npt.NDArray[np.str_]
    """str [N], see `Report.kind`."""
    gated: list[int]
    """The poisoned classes."""
    suspects: dict[int, npt.NDArray[np.bool_]]
    """Per further class whose pixels are worth a look: bool [N], the suspicious part."""
    probabilities: npt.NDArray[np.float32]
    """float32 [N,K], softmax of classifiers that have not learned the poison."""
    content: npt.NDArray[np.float32]
    """float32 [N], log-odds that the content is not of the labelled class; 0 where nobody knows."""
    doubt: npt.NDArray[np.float32] | None
    """float32 [N], how little each label is believed; None where nobody has watched."""
    model: Backbone
    """Trained on everything: it obeys the trigger."""
    verifier: Backbone
    """Trained without the suspects."""

    @classmethod
    def of(cls, detection: Detection, labels: npt.NDArray[np.int64]) -> Self:
        """The verdict of the mixture detector on samples of these labels, int64 [N]."""
        assert detection.probabilities is not None
        assert detection.verifier is not None
        assert detection.doubt is not None
        probabilities = detection.probabilities.cpu()
        return cls(
            score=detection.score.cpu().numpy(),
            kind=detection.kind,
            gated=[entry.label for entry in detection.classes if entry.poisoned],
            suspects={label: inside.cpu().numpy() for label, inside in detection.suspects.items()},
            probabilities=probabilities.numpy(),
            content=against_labels(probabilities, labels),
            doubt=detection.doubt.cpu().numpy(),
            model=detection.model,
            verifier=detection.verifier,
        )


def against_labels(probabilities: Tensor, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Log-odds, float32 [N], that samples do not belong to their classes int64 [N], by softmax float32 [N,K]."""
    own = probabilities.gather(1, torch.from_numpy(labels)[:, None])[:, 0]
    odds: npt.NDArray[np.float32] = log_odds_against(own).numpy()
    return odds


def explain(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    suspicion: Suspicion,
    causal_rate: float,
    *,
    device: torch.device,
    seed: int,
    progress: Progress,
) -> Explanation:
    """Looks for a trigger in the suspicious part of single classes, then for that of the other poisoned classes.

    The latter are first taken to share one trigger, since few samples of each may carry it; those whose flagged images
    do not show it are then explained one by one. Where many flagged images of a class do not show its trigger, a second
    one is looked for in them. Where a class is half poison, the detector may take the wrong half for it: what that half
    shows, other classes show, too, and the other half is tried. So may the verifier, which then misjudges the content
    of both; a clean-label attack shows all the same, when the suspects are compared with the rest of their class.

    In the end those unflagged samples are searched whose labels are believed least, in single classes and in all of
    them together: few poisoned images, those of a second attack, or those that no network has learned form no group of
    their own, and still share a trigger.

    Args:
        images: uint8 [N,H,W,C].
        labels: int64 [N].
        causal_rate: a trigger found in a class that is not gated, or by comparison with its rest alone, counts when
            stamping it turns this fraction of other images into the class.
    """
    score, kind = suspicion.score.copy(), suspicion.kind.copy()
    flagged = score > 0
    findings: list[Finding] = []

    def group(classes: list[int], suspects: npt.NDArray[np.bool_], odds: npt.NDArray[np.float32]) -> Group:
        inside = np.isin(labels, classes)
        return Group(images, inside, suspects & inside, odds, suspicion.content, suspicion.probabilities)

    def foreign(chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> float:
        return foreign_content(torch.from_numpy(suspicion.probabilities[chosen]), torch.from_numpy(labels[chosen]))

    def fit(group: Group) -> Fit | None:
        with progress.stage("explain") as stage:
            found = fit_trigger(group, device, seed, stage)
        if found is None or not found.usual:
            return found
        with progress.stage("explain") as stage:
            found = fit_trigger(group.swapped(), device, seed, stage)
        return None if found is None or found.usual else found

    def conclude(classes: list[int], group: Group, found: Fit | None) -> None:
        first = group.inside
        if found is not None:
            score[found.members], kind[found.members] = found.score, "backdoor"
            second = None if found.shared else fit_rest(found)
            if second is not None:
                score[second.members] = second.score
                first = first.copy()
                first[second.members[second.score > 0]] = False
                findings.append(Finding(classes=classes, members=group.inside & ~first, estimate=second.estimate))
        findings.append(Finding(classes=classes, members=first & (score > 0), estimate=found and found.estimate))

    def fit_rest(first: Fit) -> Fit | None:
        """A second trigger, shared by the suspects that the first one leaves; those that it explains are left out."""
        explained = np.zeros_like(flagged)
        explained[first.members[first.score > 0]] = True
        found = fit(first.group.without(explained))
        return found if found is not None and found.shared else None

    def unflagged(classes: list[int]) -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.isin(labels, classes) & (score <= 0))

    def most_doubted(members: npt.NDArray[np.int64], doubt: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        return members[np.argsort(-doubt[members], kind="stable")[:DOUBTED]]

    def fit_doubted(classes: list[int], doubt: npt.NDArray[np.float32]) -> Fit | None:
        """A trigger of the most doubted unflagged samples, which others of foreign content clearly show, too."""
        members = unflagged(classes)
        suspects = np.zeros_like(flagged)
        suspects[most_doubted(members, doubt)] = True
        with progress.stage("explain") as stage:
            found = fit_trigger(group(classes, suspects, odds).without(score > 0), device, seed, stage)
        if found is None or found.usual:
            return None
        further = members[~suspects[members]]
        further = further[pixel_evidence(found.estimate, images, further) > DETECTOR_SAY]
        return found if len(further) >= FURTHER and foreign(further) >= FOREIGN else None

    def works(label: int, found: Fit | None) -> TypeGuard[Fit]:
        return (
            found is not None
            and found.shared
            and _works(found.estimate, label, images, labels, suspicion, causal_rate, device=device, seed=seed)
        )

    def fit_clean_label(label: int, one: Group) -> Fit | None:
        """Takes the content of the class to be what the label says."""
        found = fit(one._replace(probabilities=np.eye(suspicion.probabilities.shape[1], dtype=np.float32)[labels]))
        return found if works(label, found) else None

    for label, suspects in suspicion.suspects.items():
        if foreign((labels == label) & ~suspects) > SURELY_FOREIGN:
            continue
        one = group([label], suspects, np.where(suspects, DETECTOR_SAY, -DETECTOR_SAY).astype(np.float32))
        found = fit(one)
        if not works(label, found):
            found = fit_clean_label(label, one)
        if found is not None:
            conclude([label], one, found)
    explained = {label for finding in findings for label in finding.classes}
    gated = [label for label in suspicion.gated if label not in explained]
    odds = suspicion.score + suspicion.content
    pooled = fit(group(gated, flagged, odds)) if gated else None
    alone = [
        label
        for label in gated
        if len(gated) > 1 and (pooled is None or not pooled.shown_by(images[flagged & (labels == label)]))
    ]
    together = [label for label in gated if label not in alone]
    if together:
        several = group(together, flagged, odds)
        found = fit(several) if alone else pooled
        if found is None and len(together) == 1:
            found = fit_clean_label(together[0], several)
        conclude(together, several, found)
    for label in alone:
        one = group([label], flagged, odds)
        conclude([label], one, fit(one) or fit_clean_label(label, one))
    if suspicion.doubt is not None:
        doubt, present = suspicion.doubt, np.unique(labels).tolist()
        most = {label: doubt[most_doubted(unflagged([label]), doubt)].sum() for label in present}
        searched = sorted(sorted(present, key=lambda label: -most[label])[:SEARCHED])
        for classes in [*([label] for label in searched), present]:
            found = fit_doubted(classes, doubt)
            if found is not None:
                score[found.members], kind[found.members] = found.score, "backdoor"
                shown = np.zeros_like(flagged)
                shown[found.members[found.score > 0]] = True
                findings.append(
                    Finding(classes=np.unique(labels[shown]).tolist(), members=shown, estimate=found.estimate)
                )
    return Explanation(score=score, kind=kind, findings=findings)


def _works(
    estimate: Estimate,
    label: int,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    suspicion: Suspicion,
    causal_rate: float,
    *,
    device: torch.device,
    seed: int,
) -> bool:
    """Whether stamping the trigger on images of other classes makes the suspicious model say `label`.

    A stroke that belongs to a digit does so as well, but then the verifier, which learned no trigger, follows.
    """
    models = [suspicion.model, suspicion.verifier]
    found, natural = share_turned(estimate, models, images, labels, [label], device=device, seed=seed)
    needed = max(PATCH_RATE, causal_rate) if estimate.replaces else causal_rate
    return found >= needed and natural <= NATURAL * found
