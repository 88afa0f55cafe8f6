"""What the samples that have copies are: poison, or copies and nothing else."""

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt

from .. import rules
from ..data.duplicates import Duplicates
from ..explanation.verdict import Finding
from ..report import Report

OnDuplicates = Literal["keep", "drop"]
KIND = REASON = "duplicate"
EXAMPLES = 3
_Mask = npt.NDArray[np.bool_]
_Index = npt.NDArray[np.int64]


def mere_copies(
    flagged: _Mask, kind: npt.NDArray[np.str_], labels: _Index, found: Duplicates, findings: list[Finding]
) -> _Mask:
    """The flagged samples that are copies and not poison.

    A network learns what it sees often, so that many copies of one image look like a backdoor, and copies under several
    labels contradict all but one of them. A flagged sample that has a copy is therefore no poison where

    - its image is blank, for there is nothing to hide a trigger in; or
    - it was flagged as mislabelled; or
    - it was flagged as backdoored in a heap of copies: most of what was flagged with it in its class are copies of each
      other, of fewer than `rules.DISTINCT_CARRIERS` different images that are there more often than others of the
      class, and it is one of them. Where a trigger explains the flags, its group must also be of one label and flagged
      as a whole.

    All others stay poison, above all images with a trigger on a copy of another image: their copies are not flagged, or
    have other labels. So do images with a trigger that are each there several times.

    Args:
        flagged: bool [N].
        kind: str [N], see `Report.kind`.
        labels: int64 [N].
        found: the copies.
        findings: what the method found; flags that are in none share no trigger.

    Returns:
        bool [N].
    """
    copied = flagged & (found.of >= 0)
    mere: _Mask = copied & (found.blank | (kind == "mislabelled"))
    doubtful = copied & ~mere
    if not doubtful.any():
        return mere
    whole = _whole(flagged, labels, found.of)
    rest = flagged.copy()
    for finding in findings:
        rest &= ~finding.members
    parts = [(finding.members & flagged, finding.trigger is not None) for finding in findings]
    for members, explained in [*parts, (rest, False)]:
        for label in np.unique(labels[members & doubtful]):
            together = np.flatnonzero(members & (labels == label))
            heap = _heap(found.of[together], _usual(found.of, labels == label, flagged))
            if explained:
                heap &= whole[together]
            mere[together[heap & doubtful[together]]] = True
    return mere


def _whole(flagged: _Mask, labels: _Index, of: _Index) -> _Mask:
    """bool [N]; whether the group of each sample has one label and is flagged as a whole."""
    inside = np.flatnonzero(of >= 0)
    group = of[inside]
    low, high = np.full(len(of), labels.max()), np.full(len(of), labels.min())
    np.minimum.at(low, group, labels[inside])
    np.maximum.at(high, group, labels[inside])
    share = np.bincount(group, flagged[inside], len(of)) / np.maximum(np.bincount(group, minlength=len(of)), 1)
    whole: _Mask = (of >= 0) & ((low == high) & (share >= rules.WHOLE_GROUP))[np.maximum(of, 0)]
    return whole


def _usual(of: _Index, member: _Mask, flagged: _Mask) -> float:
    """How often images of a class are there, of those that are not flagged."""
    rest = of[member & ~flagged]
    sizes = np.bincount(of[member & (of >= 0)], minlength=len(of))
    return float(np.median(np.where(rest < 0, 1, sizes[rest]))) if len(rest) else 1.0


def _heap(of: _Index, usual: float) -> _Mask:
    """bool [n]; which of n samples of these groups are copies of each other, more often than is usual, where most are
    and of few images."""
    groups, place, counts = np.unique(of, return_inverse=True, return_counts=True)
    several = (groups >= 0) & (counts > usual)
    heap: _Mask = several[place]
    if heap.sum() <= len(of) / 2 or several.sum() >= rules.DISTINCT_CARRIERS:
        return np.zeros(len(of), np.bool_)
    return heap


def with_duplicates(
    report: Report, of: _Index, on_duplicates: OnDuplicates, keep: _Mask, class_names: list[str]
) -> Report:
    """A report that tells the copies, and drops them where that is asked for.

    What is flagged stays what it is. Of each group of others the first is left; where they have several labels, the
    first of those with the most frequent one, and none where two are as frequent.

    Args:
        report: in which nothing is flagged that is a copy and nothing else.
        of: int64 [N], as `Duplicates.of`.
        on_duplicates: what happens to them.
        keep: bool [N]; what is never dropped.
        class_names: by label.
    """
    inside = (of >= 0) & ~report.flagged
    changes: dict[str, npt.NDArray[np.generic]] = {}
    if on_duplicates == "drop":
        dropped = _superfluous(inside, of, report.original_label) & ~keep
        reason = report.reason if len(report.reason) else np.full(len(report), "")
        changes = {
            "action": np.where(dropped, "drop", report.action),
            "label": np.where(dropped, -1, report.label),
            "quality": np.where(dropped, np.float32(0), report.quality),
            "reason": np.where(dropped, REASON, reason),
        }
    return dataclasses.replace(
        report,
        **changes,  # type: ignore[arg-type]
        kind=np.where(inside, KIND, report.kind),
        duplicate_of=of,
        config={**report.config, "duplicates": on_duplicates},
        notes=[*report.notes, *_notes(of, report.original_label, class_names)],
    )


def _superfluous(inside: _Mask, of: _Index, labels: _Index) -> _Mask:
    """bool [N]; of the samples inside of groups all but the one of each group that is left."""
    superfluous = inside.copy()
    index = np.flatnonzero(inside)
    pairs, first, counts = np.unique(
        np.stack([of[index], labels[index]], 1), axis=0, return_index=True, return_counts=True
    )
    most, ties = np.zeros(len(of), np.int64), np.zeros(len(of), np.int64)
    np.maximum.at(most, pairs[:, 0], counts)
    frequent = counts == most[pairs[:, 0]]
    np.add.at(ties, pairs[frequent, 0], 1)
    superfluous[index[first[frequent & (ties[pairs[:, 0]] == 1)]]] = False
    return superfluous


def _notes(of: _Index, labels: _Index, class_names: list[str]) -> list[str]:
    """A line for the report: how many there are, and the largest groups."""
    inside = np.flatnonzero(of >= 0)
    groups, counts = np.unique(of[inside], return_counts=True)
    if not len(groups):
        return []
    pairs = np.unique(np.stack([of[inside], labels[inside]], 1), axis=0)
    several = len(groups) - int((np.unique(pairs[:, 0], return_counts=True)[1] == 1).sum())
    examples = []
    for place in np.argsort(-counts, kind="stable")[:EXAMPLES]:
        classes = np.unique(labels[of == groups[place]]).tolist()
        names = ", ".join(class_names[label] for label in classes[:EXAMPLES])
        more = f" and {len(classes) - EXAMPLES} more" if len(classes) > EXAMPLES else ""
        examples.append(f"{counts[place]} of {'classes' if len(classes) > 1 else 'class'} {names}{more}")
    contradicting = f", {several} of them under several labels" if several else ""
    return [
        f"{len(inside)} images are the same to the eye as others, in {len(groups)} "
        f"group{'s' * (len(groups) > 1)}{contradicting}: "
        f"{'; '.join(examples)}"
    ]
