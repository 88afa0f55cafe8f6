"""A look at the originals for what the working copy cannot show: waves finer than its pixels, and small patches."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import rules
from ..context import Context
from ..data.access import RawView
from ..data.cache import cache_key
from ..data.pixels import Pixels, with_channels
from ..data.store import ImageStore
from ..data.survey import Survey
from ..detection.gate import clearly_foreign, unusual
from ..detection.verifier import opinion
from ..explanation.found import Found
from ..explanation.verdict import Explanation, Finding
from ..stages.local import LocalExecutor
from ..stages.stage import Artefact
from ..training.loop import on_device
from .anywhere import PLACES, SeenPatch, patches_in
from .originals import Originals, larger_than_copy, read_original, read_originals
from .spectra import Spectra, find_waves, wave_odds

FORMAT = 1
LOOKED_AT, PER_CLASS = 600, 60
"""Originals at most, of all classes and of each, in which frequencies are looked for."""
SEARCHED = 50
"""Classes in which a patch is looked for, those first whose most doubted samples are doubted most: each takes 3 s."""
DOUBTED, OTHERS = 32, 100
"""Originals of a class, half of those whose labels are believed least, and of all classes, in which a patch is looked
for."""


def look_closer(
    view: RawView, survey: Survey, store: ImageStore, found: Artefact, executor: LocalExecutor, context: Context
) -> Artefact:
    """What was found, and what only the originals show beside it, where they are larger than the working copy.

    The cost is bounded: `LOOKED_AT` originals are read, `DOUBTED` of each class that is searched, and all of a class in
    which they agree on a frequency, or show a patch that others lack.
    """
    larger = larger_than_copy(survey, store)
    if not larger.any():
        return found

    def work(out: Path) -> None:
        known = Found.load(found.folder, context.device)
        # As published, no method looks at pixels.
        if known.verifier is not None and known.choice is not None:
            with context.stage("look closer") as part:
                known = _Look(view, survey, store, larger, part).on(known)
        known.save(out)

    return executor.keep("closer", "a closer look", cache_key(found=found.key, format=FORMAT), work, context)


class Shared(NamedTuple):
    """What originals of a class share."""

    label: int
    rows: npt.NDArray[np.int64]
    """Of the store, that show it."""
    odds: npt.NDArray[np.float32]
    """How clearly, above 0."""
    what: str
    """For the report."""


@dataclasses.dataclass(frozen=True)
class _Look:
    view: RawView
    survey: Survey
    store: ImageStore
    larger: npt.NDArray[np.bool_]
    """bool [M], of the rows of the store."""
    context: Context

    def on(self, known: Found) -> Found:
        """Adds the waves and patches of classes to what is known."""
        left = self.larger & ~known.flagged
        rows = self._drawn(left)
        if not len(rows):
            return known
        seen = [*self._waves(left, rows), *self._patches(left, rows, known)]
        score, kind = known.explanation.score.copy(), known.explanation.kind.copy()
        findings, notes = [], []
        for group in seen:
            new = score[group.rows] <= known.threshold
            score[group.rows[new]], kind[group.rows[new]] = known.threshold + group.odds[new], "backdoor"
            inside = np.isin(np.arange(len(score)), group.rows[new])
            if inside.any():
                findings.append(Finding(classes=[group.label], members=inside, trigger=None))
                notes.append(f"class {group.label}: {group.rows.size} originals share {group.what}")
        looked = f"{len(rows)} originals were looked at for what the working copy cannot show"
        return dataclasses.replace(
            known,
            explanation=Explanation(score=score, kind=kind, findings=[*known.explanation.findings, *findings]),
            notes=[*known.notes, looked, *notes],
        )

    def _waves(self, left: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]) -> Iterator[Shared]:
        """Those on which images of a class agree."""
        sizes = self.survey.sizes[self.store.positions[rows]]
        height, width = np.median(sizes, axis=0).round().astype(int).tolist()
        spectra = Spectra((height, width), self.survey.working_size)
        images = (self._image(row) for row in self._reporting(rows, 0.0, 0.4))
        for peak in find_waves(spectra, images, self.store.labels[rows], self.context.seed):
            members = np.flatnonzero(left & (self.store.labels == peak.label))
            found = [spectra.at(self._image(row), peak.frequency) for row in members.tolist()]
            odds = wave_odds(np.array(found, np.complex64))
            if (odds > 0).sum() >= rules.LEAST_FLAGGED:
                down, across = (abs(periods) for periods in peak.frequency)
                what = f"a wave of {down} vertical and {across} horizontal periods"
                yield Shared(peak.label, members[odds > 0], odds[odds > 0], what)

    def _patches(self, left: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64], known: Found) -> Iterator[Shared]:
        """Those that samples of a class share whose labels are believed least, and others of it, of foreign content."""
        labels, score = self.store.labels, known.explanation.score
        drawn = list(zip(read_originals(self.view, self.survey, self.store, rows[:OTHERS]), labels[rows], strict=False))
        classes = [label for label, count in enumerate(np.bincount(labels[left])) if count >= 3 * DOUBTED]
        most = {label: np.sort(score[left & (labels == label)])[-DOUBTED:].sum() for label in classes}
        classes = sorted(sorted(classes, key=lambda label: -most[label])[:SEARCHED])
        looks = max(1, len(classes)) * PLACES
        for number, label in enumerate(classes):
            self.context.update(0.4 + 0.6 * number / len(classes))
            members = np.flatnonzero(left & (labels == label))
            members = members[np.argsort(-score[members], kind="stable")]
            # Every second one is left to tell whether those who show what is found are foreign.
            members = np.concatenate([members[: 2 * DOUBTED : 2], members[1 : 2 * DOUBTED : 2], members[2 * DOUBTED :]])
            suspects = list(read_originals(self.view, self.survey, self.store, members[:DOUBTED]))
            others = [image for image, own in drawn if own != label]
            for patch in patches_in(Originals(suspects, others)):
                elsewhere = np.array([patch.shown_by(image) is not None for image in others])
                there = np.array([patch.shown_by(image) is not None for image in suspects])
                if not unusual(there, elsewhere, rules.FALSE_ALARMS / looks):
                    continue
                patch, near = self._best_framed(patch, members)
                shows = np.array([share is not None for share in near])
                if self._foreign(known, members[DOUBTED:], shows[DOUBTED:], rules.FALSE_ALARMS / looks):
                    odds = np.array([0.01 + 10 * share for share in near if share is not None], np.float32)
                    yield Shared(label, members[shows], odds, f"a patch {patch.window.frame.describe()}")
                    break

    def _best_framed(self, patch: SeenPatch, members: npt.NDArray[np.int64]) -> tuple[SeenPatch, list[float | None]]:
        """The patch in the frame in which most members show it, and how clearly each of them does."""
        sizes = self.survey.sizes[self.store.positions[members]]
        variants = patch.framed([(height, width) for height, width in np.unique(sizes, axis=0).tolist()])
        near = [[variant.shown_by(image) for variant in variants] for image in map(self._image, members.tolist())]
        by_variant = list(zip(*near, strict=True))
        best = max(range(len(variants)), key=lambda place: sum(share is not None for share in by_variant[place]))
        return variants[best], list(by_variant[best])

    def _foreign(
        self, known: Found, members: npt.NDArray[np.int64], shows: npt.NDArray[np.bool_], false_alarms: float
    ) -> bool:
        """Whether members that show a patch have more foreign content than the others, by a verifier that has learned
        none of them."""
        assert known.verifier is not None
        assert known.choice is not None
        unseen = ~known.verifier.learned.cpu().numpy()[members]
        images = on_device(self.store.images[members[unseen]], self.context.device)
        probabilities = opinion(known.verifier, images, known.choice).cpu()
        return clearly_foreign(probabilities, self.store.labels[members[unseen]], shows[unseen], false_alarms)

    def _drawn(self, left: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Some rows of every class."""
        rng = np.random.default_rng(self.context.seed)
        labels = self.store.labels
        each = min(PER_CLASS, max(rules.LEAST_FLAGGED, LOOKED_AT // self.store.num_classes))
        drawn = [rng.permutation(np.flatnonzero(left & (labels == label)))[:each] for label in np.unique(labels)]
        return rng.permutation(np.concatenate(drawn))[:LOOKED_AT]

    def _image(self, row: int) -> Pixels:
        original = read_original(self.view, self.survey, int(self.store.positions[row]))
        return with_channels(original.colour, self.survey.channels)

    def _reporting(self, rows: npt.NDArray[np.int64], start: float, end: float) -> Iterator[int]:
        for number, row in enumerate(rows.tolist()):
            yield row
            self.context.update(start + (end - start) * (number + 1) / len(rows))
