"""Detection and restoration meet once: a trigger found in the pixels confirms classes and repairs the flags."""

import dataclasses
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..detection.gate import foreign_content, outstanding, resembles, unusual
from ..detection.mixture import LEAST_COUNT, minority_split
from ..detection.patterns import pixel_clusters
from ..detection.verifier import opinion, verify
from ..progress import Progress
from ..restoration import Estimate
from ..training.loop import as_input, on_device
from .fit import DETECTOR_SAY, SAMPLED, Fit, Group, fit_trigger, pixel_evidence
from .stamping import share_turned
from .verdict import Explanation, Finding, Suspicion

PATCH_RATE = 0.5
"""Least effect of a patch: objects and strokes are local, too, and pull an image towards their class."""
NATURAL = 0.3
"""A pattern that moves the verifier more than this fraction of the suspicious model belongs to the class."""
DOUBTED = 16
"""So many samples of a class whose labels are believed least are searched for a trigger. Measured: of 30 blended images
of CIFAR-10, 11 are among them, and 14 among the first 24; where clean ones are more, no trigger is found."""
SEARCHED = 50
"""So many classes are searched, those first whose most doubted samples are doubted most: each takes 2 or 3 s."""
FURTHER, FOREIGN = 8, 0.5
"""Such a trigger needs so many further samples that show it, with so much foreign content: nobody chose those for what
the verifier says. A further cluster of a poisoned class needs as much. Measured: poison has .59 and more."""
SURELY_FOREIGN = 0.7
"""Where the rest of a class has more foreign content than this, and than other classes lead to expect, the rest is the
poison, and the suspects share what the class looks like. Less may be the mistake of a verifier that has learned the
wrong half. Measured: clean aeroplanes beside poisoned ones have .60, warped signs of all classes .82."""
FALSE_ALARMS = 0.01
"""How often, at most, a dataset without poison is to have a group whose content is as foreign as that of poison."""


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

    What is left of a poisoned class may hold another cluster, which carries another trigger that was learned, too.

    Some patterns set images apart by their pixels alone, whatever the networks have learned of them.

    In the end those unflagged samples are searched whose labels are believed least, in single classes and in all of
    them together: few poisoned images, those of a second attack, or those that no network has learned form no group of
    their own, and still share a trigger.

    Args:
        images: uint8 [N,H,W,C].
        labels: int64 [N].
        causal_rate: a trigger found in a class that is not gated, in a further cluster, or by comparison with the rest
            of its class alone, counts when stamping it turns this fraction of other images into the class.
    """
    search = _Search(images, labels, suspicion, causal_rate, device, seed, progress)
    search.suspected_parts()
    search.gated_classes()
    search.patterned_parts()
    if suspicion.activations is not None:
        search.further_clusters(suspicion.activations)
    if suspicion.doubt is not None:
        search.doubted_samples(suspicion.doubt)
    return Explanation(score=search.score, kind=search.kind, findings=search.findings)


@dataclasses.dataclass
class _Search:
    """The verdict as it stands; each pass changes it by the triggers that it finds."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    suspicion: Suspicion
    causal_rate: float
    device: torch.device
    seed: int
    progress: Progress

    def __post_init__(self) -> None:
        self.score, self.kind = self.suspicion.score.copy(), self.suspicion.kind.copy()
        self.flagged = self.suspicion.score > 0
        self.odds = self.suspicion.score + self.suspicion.content
        self.findings: list[Finding] = []

    def suspected_parts(self) -> None:
        """Classes that are not gated, where a part that clusters apart may be a clean-label attack."""
        for label, suspects in self.suspicion.suspects.items():
            if self._rest_is_foreign(label, suspects):
                continue
            self._suspected_part(label, suspects)

    def gated_classes(self) -> None:
        """Those that are not yet explained: together, or one by one where they do not share a trigger."""
        explained = {label for finding in self.findings for label in finding.classes}
        gated = [label for label in self.suspicion.gated if label not in explained]
        pooled = self._fit(self._group(gated, self.flagged, self.odds)) if gated else None
        alone = [
            label
            for label in gated
            if len(gated) > 1
            and (pooled is None or not pooled.shown_by(self.images[self.flagged & (self.labels == label)]))
        ]
        together = [label for label in gated if label not in alone]
        if together:
            several = self._group(together, self.flagged, self.odds)
            found = self._fit(several) if alone else pooled
            if found is None and len(together) == 1:
                found = self._fit_clean_label(together[0], several)
            self._conclude(together, several, found)
        for label in alone:
            one = self._group([label], self.flagged, self.odds)
            self._conclude([label], one, self._fit(one) or self._fit_clean_label(label, one))

    def patterned_parts(self) -> None:
        """Parts of classes that are set apart by their pixels alone, until no more of them has a trigger."""
        while any(self._patterned_part(label, suspects) for label, suspects in self._patterned()):
            pass

    def further_clusters(self, activations: Tensor) -> None:
        """What is left of poisoned classes, by activations float32 [N,D]: several attacks may share a class."""
        for label in sorted({label for finding in self.findings for label in finding.classes}):
            rest = self._unflagged([label])
            if len(rest) < 2 * LEAST_COUNT:
                continue
            split = minority_split(activations[torch.from_numpy(rest).to(activations.device)])
            suspects = np.zeros_like(self.flagged)
            suspects[rest[(split.log_ratio > 0).cpu().numpy()]] = True
            if self._foreign(suspects) < FOREIGN:
                continue
            found = self._fit_once(self._part(label, suspects).without(self.score > 0))
            if self._works(found, label):
                self._believe(found)
                self.findings.append(Finding(classes=[label], members=self._shown(found), estimate=found.estimate))

    def doubted_samples(self, doubt: npt.NDArray[np.float32]) -> None:
        """Unflagged samples whose labels are believed least, by doubt float32 [N]."""
        present = np.unique(self.labels).tolist()
        most = {label: doubt[self._most_doubted([label], doubt)].sum() for label in present}
        searched = sorted(sorted(present, key=lambda label: -most[label])[:SEARCHED])
        for classes in [*([label] for label in searched), present]:
            found = self._fit_doubted(classes, doubt)
            if found is not None:
                self._believe(found)
                shown = self._shown(found)
                carrying = np.unique(self.labels[shown]).tolist()
                self.findings.append(Finding(classes=carrying, members=shown, estimate=found.estimate))

    def _group(self, classes: list[int], suspects: npt.NDArray[np.bool_], odds: npt.NDArray[np.float32]) -> Group:
        inside = np.isin(self.labels, classes)
        content, probabilities = self.suspicion.content, self.suspicion.probabilities
        return Group(self.images, inside, suspects & inside, odds, content, probabilities)

    def _part(self, label: int, suspects: npt.NDArray[np.bool_]) -> Group:
        """A class of which a part is suspected."""
        return self._group([label], suspects, np.where(suspects, DETECTOR_SAY, -DETECTOR_SAY).astype(np.float32))

    def _suspected_part(self, label: int, suspects: npt.NDArray[np.bool_]) -> None:
        """Takes over the trigger of a part of a class, if it has one that works."""
        one = self._part(label, suspects)
        found = self._fit(one)
        if not self._works(found, label):
            found = self._fit_clean_label(label, one)
        elif not found.estimate.replaces:
            found = self._fainter(found, self._fit_clean_label(label, one))
        if found is not None:
            self._conclude_part(label, one, found)

    def _patterned(self) -> list[tuple[int, npt.NDArray[np.bool_]]]:
        """The classes whose pixels split more clearly than the others lead to expect, or else the clearest one, and the
        parts that are set apart, bool [N]."""
        clusters = pixel_clusters(self.images, self.labels, ~self._explained(), self.seed)
        clear = [
            cluster
            for cluster in clusters
            if cluster.clarity > outstanding([c.clarity for c in clusters if c is not cluster], FALSE_ALARMS)
        ]
        return [(cluster.label, cluster.inside) for cluster in clear or clusters[:1]]

    def _patterned_part(self, label: int, suspects: npt.NDArray[np.bool_]) -> bool:
        """Takes over the trigger of a part that the pixels set apart, if it has one."""
        one = self._part(label, suspects).without(self._explained() & (self.labels == label))
        found = self._fit(one)
        if not self._works(found, label) and not self._sets_apart_foreign(found, label):
            found = self._fit_clean_label(label, one)
        if found is None:
            return False
        self._conclude_part(label, one, found)
        return True

    def _explained(self) -> npt.NDArray[np.bool_]:
        """The samples, bool [N], on which a trigger was found."""
        explained = np.zeros_like(self.flagged)
        for finding in self.findings:
            if finding.estimate is not None:
                explained |= finding.members
        return explained

    def _conclude_part(self, label: int, one: Group, found: Fit) -> None:
        """Takes over a trigger in place of what was said about its class without one."""
        self.findings = [other for other in self.findings if other.estimate is not None or other.classes != [label]]
        self._conclude([label], one, found)

    def _rest_is_foreign(self, label: int, suspects: npt.NDArray[np.bool_]) -> bool:
        """Whether the suspects are what a class looks like, and the rest of it is not."""
        rest = self._foreign((self.labels == label) & ~suspects)
        others = [self._foreign(self.labels == other) for other in np.unique(self.labels) if other != label]
        return rest > max(SURELY_FOREIGN, outstanding(others, FALSE_ALARMS))

    def _foreign(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> float:
        probabilities, labels = self.suspicion.probabilities[chosen], self.labels[chosen]
        return foreign_content(torch.from_numpy(probabilities), torch.from_numpy(labels))

    def _fit_once(self, group: Group) -> Fit | None:
        with self.progress.stage("explain") as stage:
            return fit_trigger(group, self.device, self.seed, stage)

    def _fit(self, group: Group) -> Fit | None:
        """The trigger of the suspects, or else of the others inside."""
        found = self._fit_once(group)
        if found is None or not found.usual:
            return found
        found = self._fit_once(group.swapped())
        return None if found is None or found.usual else found

    def _fit_rest(self, first: Fit) -> Fit | None:
        """A second trigger, shared by the suspects that the first one leaves; those that it explains are left out."""
        found = self._fit(first.group.without(self._shown(first)))
        return found if found is not None and found.shared else None

    def _fit_clean_label(self, label: int, one: Group) -> Fit | None:
        """Takes the content of the class to be what the label says."""
        as_labelled = np.eye(self.suspicion.probabilities.shape[1], dtype=np.float32)[self.labels]
        found = self._fit(one._replace(probabilities=as_labelled))
        return found if self._works(found, label) else None

    def _fainter(self, one: Fit, other: Fit | None) -> Fit:
        """Of two triggers that both work, the one that changes images less.

        Where the verifier mistakes the content of the suspects, what other classes look like becomes part of a pattern.
        """
        shown_on = self.images[:: max(1, len(self.images) // SAMPLED)]
        return min(
            (found for found in (one, other) if found is not None),
            key=lambda found: float(found.estimate.footprint(shown_on).mean()),
        )

    def _fit_doubted(self, classes: list[int], doubt: npt.NDArray[np.float32]) -> Fit | None:
        """A trigger of the most doubted unflagged samples, which others of foreign content clearly show, too."""
        suspects = np.zeros_like(self.flagged)
        suspects[self._most_doubted(classes, doubt)] = True
        found = self._fit_once(self._group(classes, suspects, self.odds).without(self.score > 0))
        return found if self._shown_by_foreign(found, classes, suspects) else None

    def _shown_by_foreign(self, found: Fit | None, classes: list[int], chosen: npt.NDArray[np.bool_]) -> TypeGuard[Fit]:
        """Whether unflagged samples of some classes clearly show a trigger, and more foreign content than others.

        A verifier that knows little of the content contradicts many, so those that show it are compared with those that
        do not. Samples that were chosen for what the verifier says, bool [N], do not count.
        """
        if found is None or found.usual:
            return False
        further = self._unflagged(classes)
        further = further[~chosen[further]]
        shown = pixel_evidence(found.estimate, self.images, further) > DETECTOR_SAY
        if shown.sum() < FURTHER or self._foreign(further[shown]) < FOREIGN:
            return False
        contradicted = self.suspicion.probabilities[further].argmax(1) != self.labels[further]
        looks = 1 + min(SEARCHED, len(np.unique(self.labels)))
        return unusual(contradicted[shown], contradicted[~shown], FALSE_ALARMS / looks)

    def _sets_apart_foreign(self, found: Fit | None, label: int) -> TypeGuard[Fit]:
        """Whether those who show a trigger look like other classes to a verifier that has learned none of them.

        A trigger that forms no cluster is among what the first verifier has learned, and may have learned to obey.
        """
        if found is None or found.usual or not found.shared:
            return False
        shown = self._shown(found)
        credible = self.suspicion.verifier.learned & torch.from_numpy(~shown).to(self.device)
        if shown.sum() < FURTHER or not credible.any():
            return False
        x, y = on_device(self.images, self.device), torch.from_numpy(self.labels).to(self.device)
        classes, choice = self.suspicion.probabilities.shape[1], self.suspicion.choice
        with self.progress.stage("verify") as stage:
            verifier = verify(x, y, credible, classes, choice, self.seed, stage)
            # Only those that it has not learned can be compared.
            unseen = torch.nonzero(~credible)[:, 0].cpu().numpy()
            inside, own = shown[unseen], self.labels[unseen] == label
            seen = self.images[unseen]
            seen[inside] = _bare(found.estimate, seen[inside])
            likely = opinion(verifier, on_device(seen, self.device), choice)[:, label].cpu().numpy()
        return resembles(likely[inside], likely[own & ~inside], likely[~own & ~inside], FALSE_ALARMS)

    def _most_doubted(self, classes: list[int], doubt: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        members = self._unflagged(classes)
        return members[np.argsort(-doubt[members], kind="stable")[:DOUBTED]]

    def _unflagged(self, classes: list[int]) -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.isin(self.labels, classes) & (self.score <= 0))

    def _works(self, found: Fit | None, label: int) -> TypeGuard[Fit]:
        """Whether the suspects share it, and stamping it makes the suspicious model say `label` of other images.

        A stroke that belongs to a digit does so as well, but then the verifier, which learned no trigger, follows.
        """
        if found is None or not found.shared:
            return False
        obeyed, natural = share_turned(
            found.estimate,
            [self.suspicion.model, self.suspicion.verifier.model],
            self.images,
            self.labels,
            [label],
            device=self.device,
            seed=self.seed,
        )
        needed = max(PATCH_RATE, self.causal_rate) if found.estimate.replaces else self.causal_rate
        return obeyed >= needed and natural <= NATURAL * obeyed

    def _shown(self, found: Fit) -> npt.NDArray[np.bool_]:
        """The samples, bool [N], that carry a trigger."""
        shown = np.zeros_like(self.flagged)
        shown[found.members[found.score > 0]] = True
        return shown

    def _believe(self, found: Fit) -> None:
        self.score[found.members], self.kind[found.members] = found.score, "backdoor"

    def _conclude(self, classes: list[int], group: Group, found: Fit | None) -> None:
        """Takes over what a trigger says about its classes, and what a second one says about the rest of them."""
        first = group.inside
        if found is not None:
            self._believe(found)
            second = None if found.shared else self._fit_rest(found)
            if second is not None:
                self._believe(second)
                first = first.copy()
                first[self._shown(second)] = False
                self.findings.append(Finding(classes=classes, members=group.inside & ~first, estimate=second.estimate))
        shown = first & (self.score > 0)
        self.findings.append(Finding(classes=classes, members=shown, estimate=found and found.estimate))


@torch.inference_mode()
def _bare(estimate: Estimate, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Images that show a trigger, uint8 [n,H,W,C], without it."""
    x = as_input(torch.from_numpy(images).to(estimate.scale.device))
    out: npt.NDArray[np.uint8] = (estimate.invert(x) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return out
