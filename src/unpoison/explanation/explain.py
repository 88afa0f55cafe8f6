"""Detection and restoration meet once: a trigger found in the pixels confirms classes and repairs the flags."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..context import Context
from ..detection.gate import outstanding
from ..detection.mixture import minority_split
from ..detection.patterns import pixel_clusters
from .fit import SAMPLED, Fit, Group, fit_trigger
from .proofs import Proofs
from .verdict import Explanation, Finding, Suspicion

DOUBTED = 16
"""So many samples of a class whose labels are believed least are searched for a trigger. Measured: of 30 blended images
of CIFAR-10, 11 are among them, and 14 among the first 24; where clean ones are more, no trigger is found."""
SEARCHED = 50
"""So many classes are searched, those first whose most doubted samples are doubted most: each takes 2 or 3 s."""


def explain(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    suspicion: Suspicion,
    causal_rate: float,
    context: Context,
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
    search = _Search(images, labels, suspicion, causal_rate, context)
    search.suspected_parts()
    search.gated_classes()
    search.patterned_parts()
    if suspicion.activations is not None:
        search.further_clusters(suspicion.activations)
    if suspicion.doubt is not None:
        search.doubted_samples(suspicion.doubt)
    return Explanation(score=search.score, kind=search.kind, findings=search.findings)


@dataclasses.dataclass
class _Search(Proofs):
    """The verdict as it stands; each pass changes it by the triggers that it finds."""

    def __post_init__(self) -> None:
        self.score, self.kind = self.suspicion.score.copy(), self.suspicion.kind.copy()
        self.flagged = self.suspicion.score > 0
        self.odds = self.suspicion.score + self.suspicion.content
        self.findings: list[Finding] = []

    def suspected_parts(self) -> None:
        """Classes that are not gated, where a part that clusters apart may be a clean-label attack."""
        for label, suspects in self.suspicion.suspects.items():
            if self.rest_is_foreign(label, suspects):
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
            if len(rest) < 2 * rules.LEAST_CLUSTER:
                continue
            split = minority_split(activations[torch.from_numpy(rest).to(activations.device)])
            suspects = np.zeros_like(self.flagged)
            suspects[rest[(split.log_ratio > 0).cpu().numpy()]] = True
            if self.foreign(suspects) < rules.FURTHER_FOREIGN:
                continue
            found = self._fit_once(self._part(label, suspects).without(self.score > 0))
            if self.works(found, label):
                self._believe(found)
                self.findings.append(Finding(classes=[label], members=found.shown, trigger=found.trigger))

    def doubted_samples(self, doubt: npt.NDArray[np.float32]) -> None:
        """Unflagged samples whose labels are believed least, by doubt float32 [N]."""
        present = np.unique(self.labels).tolist()
        most = {label: doubt[self._most_doubted([label], doubt)].sum() for label in present}
        searched = sorted(sorted(present, key=lambda label: -most[label])[:SEARCHED])
        for classes in [*([label] for label in searched), present]:
            found = self._fit_doubted(classes, doubt)
            if found is not None:
                self._believe(found)
                shown = found.shown
                carrying = np.unique(self.labels[shown]).tolist()
                self.findings.append(Finding(classes=carrying, members=shown, trigger=found.trigger))

    def _group(self, classes: list[int], suspects: npt.NDArray[np.bool_], odds: npt.NDArray[np.float32]) -> Group:
        inside = np.isin(self.labels, classes)
        content, probabilities = self.suspicion.content, self.suspicion.probabilities
        return Group(self.images, inside, suspects & inside, odds, content, probabilities)

    def _part(self, label: int, suspects: npt.NDArray[np.bool_]) -> Group:
        """A class of which a part is suspected."""
        return self._group(
            [label], suspects, np.where(suspects, rules.DETECTOR_SAY, -rules.DETECTOR_SAY).astype(np.float32)
        )

    def _suspected_part(self, label: int, suspects: npt.NDArray[np.bool_]) -> None:
        """Takes over the trigger of a part of a class, if it has one that works."""
        one = self._part(label, suspects)
        found = self._fit(one)
        if not self.works(found, label):
            found = self._fit_clean_label(label, one)
        elif not found.trigger.replaces:
            found = self._fainter(found, self._fit_clean_label(label, one))
        if found is not None:
            self._conclude_part(label, one, found)

    def _patterned(self) -> list[tuple[int, npt.NDArray[np.bool_]]]:
        """The classes whose pixels split more clearly than the others lead to expect, or else the clearest one, and the
        parts that are set apart, bool [N]: where a class is split about evenly, either side of it."""
        left = ~self._explained()
        clusters = pixel_clusters(self.images, self.labels, left, self.context.seed)
        clear = [
            cluster
            for cluster in clusters
            if cluster.clarity > outstanding([c.clarity for c in clusters if c is not cluster], rules.FALSE_ALARMS)
        ]
        parts = []
        for cluster in clear or clusters[:1]:
            rest = (self.labels == cluster.label) & left & ~cluster.inside
            parts.append((cluster.label, cluster.inside))
            if cluster.inside.sum() > rules.CLEAR_MINORITY * (cluster.inside | rest).sum():
                parts.append((cluster.label, rest))
        return parts

    def _patterned_part(self, label: int, suspects: npt.NDArray[np.bool_]) -> bool:
        """Takes over the trigger of a part that the pixels set apart, if it has one."""
        one = self._part(label, suspects).without(self._explained() & (self.labels == label))
        found = self._fit(one)
        if not self.works(found, label) and not self.sets_apart_foreign(found, label):
            found = self._fit_clean_label(label, one)
        if found is None:
            return False
        self._conclude_part(label, one, found)
        return True

    def _explained(self) -> npt.NDArray[np.bool_]:
        """The samples, bool [N], on which a trigger was found."""
        explained = np.zeros_like(self.flagged)
        for finding in self.findings:
            if finding.trigger is not None:
                explained |= finding.members
        return explained

    def _conclude_part(self, label: int, one: Group, found: Fit) -> None:
        """Takes over a trigger in place of what was said about its class without one."""
        self.findings = [other for other in self.findings if other.trigger is not None or other.classes != [label]]
        self._conclude([label], one, found)

    def _fit_once(self, group: Group) -> Fit | None:
        with self.context.stage("explain") as part:
            return fit_trigger(group, part)

    def _fit(self, group: Group) -> Fit | None:
        """The trigger of the suspects, or else of the others inside."""
        found = self._fit_once(group)
        if found is None or not found.usual:
            return found
        found = self._fit_once(group.swapped())
        return None if found is None or found.usual else found

    def _fit_rest(self, first: Fit) -> Fit | None:
        """A second trigger, shared by the suspects that the first one leaves; those that it explains are left out."""
        found = self._fit(first.group.without(first.shown))
        return found if found is not None and found.shared else None

    def _fit_clean_label(self, label: int, one: Group) -> Fit | None:
        """Takes the content of the class to be what the label says."""
        as_labelled = np.eye(self.suspicion.probabilities.shape[1], dtype=np.float32)[self.labels]
        found = self._fit(one._replace(probabilities=as_labelled))
        return found if self.works(found, label) else None

    def _fainter(self, one: Fit, other: Fit | None) -> Fit:
        """Of two triggers that both work, the one that changes images less.

        Where the verifier mistakes the content of the suspects, what other classes look like becomes part of a pattern.
        """
        shown_on = self.images[:: max(1, len(self.images) // SAMPLED)]
        return min(
            (found for found in (one, other) if found is not None),
            key=lambda found: float(found.trigger.footprint(shown_on).mean()),
        )

    def _fit_doubted(self, classes: list[int], doubt: npt.NDArray[np.float32]) -> Fit | None:
        """A trigger of the most doubted unflagged samples, which others of foreign content clearly show, too."""
        suspects = np.zeros_like(self.flagged)
        suspects[self._most_doubted(classes, doubt)] = True
        found = self._fit_once(self._group(classes, suspects, self.odds).without(self.score > 0))
        further = self._unflagged(classes)
        # The classes one by one, and all of them together.
        looks = 1 + min(SEARCHED, len(np.unique(self.labels)))
        return found if self.shown_by_foreign(found, further[~suspects[further]], looks) else None

    def _most_doubted(self, classes: list[int], doubt: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        members = self._unflagged(classes)
        return members[np.argsort(-doubt[members], kind="stable")[:DOUBTED]]

    def _unflagged(self, classes: list[int]) -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.isin(self.labels, classes) & (self.score <= 0))

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
                first[second.shown] = False
                self.findings.append(Finding(classes=classes, members=group.inside & ~first, trigger=second.trigger))
        shown = first & (self.score > 0)
        self.findings.append(Finding(classes=classes, members=shown, trigger=found and found.trigger))
