"""A look at the originals for what the working copy cannot show: waves that are finer than its pixels."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import rules
from ..context import Context
from ..data.access import RawView
from ..data.cache import cache_key
from ..data.pixels import Pixels
from ..data.store import ImageStore
from ..data.survey import Survey
from ..explanation.found import Found
from ..explanation.verdict import Explanation, Finding
from ..stages.local import LocalExecutor
from ..stages.stage import Artefact
from .originals import larger_than_copy, read_original
from .spectra import Peak, Spectra, find_waves, wave_odds

FORMAT = 1
LOOKED_AT, PER_CLASS = 600, 60
"""Originals at most, of all classes and of each, in which frequencies are looked for."""


def look_closer(
    view: RawView, survey: Survey, store: ImageStore, found: Artefact, executor: LocalExecutor, context: Context
) -> Artefact:
    """What was found, and what only the originals show beside it, where they are larger than the working copy.

    The cost is bounded: `LOOKED_AT` originals are read, and of a class in which they agree on a frequency all.
    """
    larger = larger_than_copy(survey, store)
    if not larger.any():
        return found

    def work(out: Path) -> None:
        known = Found.load(found.folder, context.device)
        # As published, no method looks at pixels.
        if known.verifier is not None:
            with context.stage("look closer") as part:
                known = _Look(view, survey, store, larger, part).on(known)
        known.save(out)

    return executor.keep("closer", "a closer look", cache_key(found=found.key, format=FORMAT), work, context)


@dataclasses.dataclass(frozen=True)
class _Look:
    view: RawView
    survey: Survey
    store: ImageStore
    larger: npt.NDArray[np.bool_]
    """bool [M], of the rows of the store."""
    context: Context

    def on(self, known: Found) -> Found:
        """Adds the waves of classes to what is known."""
        left = self.larger & ~known.flagged
        rows = self._drawn(left)
        if not len(rows):
            return known
        sizes = self.survey.sizes[self.store.positions[rows]]
        height, width = np.median(sizes, axis=0).round().astype(int).tolist()
        spectra = Spectra((height, width), self.survey.working_size)
        images = (self._image(row) for row in self._reporting(rows, 0.0, 0.8))
        peaks = find_waves(spectra, images, self.store.labels[rows], self.context.seed)
        score, kind, findings, notes = known.explanation.score.copy(), known.explanation.kind.copy(), [], []
        for number, peak in enumerate(peaks):
            members = np.flatnonzero(left & (self.store.labels == peak.label))
            part = 0.2 / len(peaks)
            read = self._reporting(members, 0.8 + number * part, 0.8 + (number + 1) * part)
            odds = wave_odds(np.array([spectra.at(self._image(row), peak.frequency) for row in read], np.complex64))
            shown = members[odds > 0]
            if len(shown) < rules.LEAST_FLAGGED:
                continue
            score[shown], kind[shown] = known.threshold + odds[odds > 0], "backdoor"
            inside = np.isin(np.arange(len(score)), shown)
            findings.append(Finding(classes=[peak.label], members=inside, trigger=None))
            notes.append(_described(peak, len(shown), len(members)))
        looked = f"{len(rows)} originals were looked at for what the working copy cannot show"
        return dataclasses.replace(
            known,
            explanation=Explanation(score=score, kind=kind, findings=[*known.explanation.findings, *findings]),
            notes=[*known.notes, looked, *notes],
        )

    def _drawn(self, left: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Some rows of every class."""
        rng = np.random.default_rng(self.context.seed)
        labels = self.store.labels
        each = min(PER_CLASS, max(rules.LEAST_FLAGGED, LOOKED_AT // self.store.num_classes))
        drawn = [rng.permutation(np.flatnonzero(left & (labels == label)))[:each] for label in np.unique(labels)]
        return rng.permutation(np.concatenate(drawn))[:LOOKED_AT]

    def _image(self, row: int) -> Pixels:
        return read_original(self.view, self.survey, int(self.store.positions[row])).colour

    def _reporting(self, rows: npt.NDArray[np.int64], start: float, end: float) -> Iterator[int]:
        for number, row in enumerate(rows.tolist()):
            yield row
            self.context.update(start + (end - start) * (number + 1) / len(rows))


def _described(peak: Peak, shown: int, members: int) -> str:
    down, across = peak.frequency
    return (
        f"class {peak.label}: {shown} of {members} originals share a wave of {abs(down)} vertical and {across} "
        f"horizontal periods, {peak.clarity:.1f} times as clear as chance explains"
    )
