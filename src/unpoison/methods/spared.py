"""The suspicious samples that are not flagged after all: copies, what someone asked for, and classes with too many."""

import dataclasses
import logging
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ..report import Report

_logger = logging.getLogger(__name__)


class Crowded(NamedTuple):
    """A class of which more was flagged than may be altered."""

    label: int
    flagged: int
    size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spared:
    """Which of N suspicious samples are not flagged, and why."""

    asked: npt.NDArray[np.bool_]
    """bool [N]; a person wants them as they came."""
    copies: npt.NDArray[np.bool_]
    """bool [N]; copies of other images and nothing else."""
    crowded: list[Crowded]
    """In the order of their labels."""
    innocent: list[int]
    """Classes of which copies are all that was suspicious."""
    lifted: npt.NDArray[np.bool_]
    """bool [N]; all that are spared, for whatever reason."""
    max_altered: float

    @classmethod
    def of(
        cls,
        flagged: npt.NDArray[np.bool_],
        labels: npt.NDArray[np.int64],
        keep: npt.NDArray[np.bool_],
        copies: npt.NDArray[np.bool_],
        max_altered: float,
    ) -> Self:
        """Decides it.

        Args:
            flagged: bool [N]; what the method suspects.
            labels: int64 [N]; as they came.
            keep: bool [N]; what is not flagged whatever was found.
            copies: bool [N]; what is flagged only because it has copies. Neither counts against the limit.
            max_altered: share of a class that may be flagged, above 0 and up to 1.
        """
        asked, copies = flagged & keep, flagged & copies & ~keep
        lifted = asked | copies
        sizes, counts = np.bincount(labels), np.bincount(labels, flagged & ~lifted)
        # A whole number of samples, also where the product is one but for rounding.
        most = np.floor(sizes * max_altered + 1e-9)
        crowded = [
            Crowded(label, int(counts[label]), int(sizes[label])) for label in np.flatnonzero(counts > most).tolist()
        ]
        for entry in crowded:
            lifted |= flagged & (labels == entry.label)
        innocent = sorted(set(labels[copies].tolist()) - set(labels[flagged & ~copies].tolist()))
        return cls(
            asked=asked, copies=copies, crowded=crowded, innocent=innocent, lifted=lifted, max_altered=max_altered
        )

    def notes(self, class_names: list[str]) -> list[str]:
        """Lines for the report; names by label."""
        found = []
        if count := int(self.asked.sum()):
            found.append(f"kept as they are, as asked: {count} suspicious image{'s' * (count > 1)}")
        if count := int(self.copies.sum()):
            found.append(f"suspicious only because they have copies: {count} image{'s' * (count > 1)}")
        found += [
            f"class {class_names[entry.label]} needs a look: {entry.flagged} of its {entry.size} images "
            f"({100 * entry.flagged // entry.size} %) were flagged, more than "
            f"max_altered={self.max_altered:g} allows; nothing in it was changed. Look at them (report.score), or pass "
            "max_altered=1"
            for entry in self.crowded
        ]
        return found

    def noted(self, report: Report, class_names: list[str]) -> Report:
        """A report in which nothing of `lifted` is flagged, with what it must say about that."""
        look = {entry.label for entry in self.crowded}
        notes = self.notes(class_names)
        for note in notes:
            _logger.info("%s", note)
        return dataclasses.replace(
            report,
            classes=[
                dataclasses.replace(
                    entry,
                    poisoned=entry.poisoned and entry.label not in self.innocent,
                    status="needs a look" if entry.label in look else entry.status,
                )
                for entry in report.classes
            ],
            config={**report.config, "max_altered": self.max_altered},
            notes=[*report.notes, *notes],
        )
