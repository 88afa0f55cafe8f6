"""One trigger: fitted to the suspects of a group, it says how likely every sample that it could be on carries it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import rules
from ..context import Context
from ..triggers import Trigger, search_trigger

FITS = 2
CHUNK = 4096
SAMPLED = 500


class Group(NamedTuple):
    """All N samples; those inside may carry one trigger."""

    images: npt.NDArray[np.uint8]
    inside: npt.NDArray[np.bool_]
    suspects: npt.NDArray[np.bool_]
    """bool [N], some of those inside."""
    odds: npt.NDArray[np.float32]
    """float32 [N], what the detector and the content say."""
    content: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]

    def without(self, left_out: npt.NDArray[np.bool_]) -> "Group":
        """The group without some samples, bool [N]: they are not inside, nor clean images to compare with."""
        if not left_out.any():
            return self
        return self._replace(
            inside=self.inside & ~left_out,
            suspects=self.suspects & ~left_out,
            # What has no probable content is never drawn.
            probabilities=np.where(left_out[:, None], np.float32(0), self.probabilities),
        )

    def swapped(self) -> "Group":
        """The group with the others inside under suspicion."""
        return self._replace(suspects=self.inside & ~self.suspects, odds=-self.odds)


class Fit(NamedTuple):
    """A trigger, and what its pixels say about the samples that may carry it."""

    group: Group
    """What it was fitted to."""
    trigger: Trigger
    members: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    """float32, of the members; above 0 = the trigger is there."""

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """The samples, bool [N], that carry the trigger."""
        shown = np.zeros_like(self.group.inside)
        shown[self.members[self.score > 0]] = True
        return shown

    def shown_by(self, suspects: npt.NDArray[np.uint8]) -> bool:
        return bool((self.trigger.evidence(suspects) > 0).mean() >= rules.SHARED_BY_SUSPECTS)

    @property
    def shared(self) -> bool:
        """Whether most suspects show it."""
        return self.shown_by(self.group.images[self.group.suspects])

    @property
    def usual(self) -> bool:
        """Whether most images outside the group show it, too."""
        outside = np.flatnonzero(~self.group.inside)
        others = self.group.images[outside[:: max(1, len(outside) // SAMPLED)]]
        return bool(len(others)) and bool((self.trigger.evidence(others) > 0).mean() > rules.USUAL_ELSEWHERE)


def fit_trigger(group: Group, context: Context) -> Fit | None:
    """Inverts the trigger of the suspects, and again of those inside that show it.

    Suspects that the detector missed sharpen the second fit: it has more images, and a cleaner background.
    """
    members, suspects = np.flatnonzero(group.inside), group.suspects
    found = None
    for turn in range(FITS):
        part = context.part(turn / FITS, (turn + 1) / FITS)
        trigger = search_trigger(group.images, suspects, group.probabilities, part)
        if trigger is None or trigger.copies:
            break
        found = Fit(group, trigger, members, trigger_odds(trigger, group, members))
        suspects, before = np.zeros_like(suspects), suspects
        suspects[members] = found.score > 0
        if (suspects == before).all():
            break
    return found


def trigger_odds(trigger: Trigger, group: Group, members: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Log-odds, float32 [M], that members carry the trigger: pixels overrule the detector where they are clear."""
    evidence = pixel_evidence(trigger, group.images, members)
    say = _limited(group.odds[members])
    if trigger.replaces:
        # A white patch on a white ground is hidden from pixels and networks alike. What is left: how many others
        # carry it, and whether the content is more like theirs or like that of those without.
        hidden, content = np.abs(evidence) < rules.DETECTOR_SAY, group.content[members]
        shown = evidence[~hidden] > 0
        share = shown.mean() if len(shown) else 0.5
        resemblance = _resemblance(content[hidden], content[~hidden][shown], content[~hidden][~shown])
        say[hidden] = _limited(np.log((share + 1e-6) / (1 - share + 1e-6)) + resemblance)
    return say + evidence


def pixel_evidence(
    trigger: Trigger, images: npt.NDArray[np.uint8], index: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """What the pixels of some images say, float32 [n], without a copy of all of them at once."""
    chunks = np.array_split(index, 1 + len(index) // CHUNK)
    return np.concatenate([trigger.evidence(images[chunk]) for chunk in chunks])


def _resemblance(
    values: npt.NDArray[np.float32], ones: npt.NDArray[np.float32], others: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Log-ratio, float32 [n], by which `values` [n] are likelier among ones than among others, by both tails.

    What a verifier is sure of is wrong more often than it says, so its own odds would count too much.
    """

    def tails(sample: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        ordered = np.sort(sample)
        below, above = np.searchsorted(ordered, values, "right"), len(sample) - np.searchsorted(ordered, values)
        odds: npt.NDArray[np.float64] = np.log((below + 1) * (above + 1) / (len(sample) + 1) ** 2)
        return odds

    return (tails(ones) - tails(others)).astype(np.float32)


def _limited(odds: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.clip(odds, -rules.DETECTOR_SAY, rules.DETECTOR_SAY)
