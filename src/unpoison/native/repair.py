"""What flagged images look like at their own size without their trigger."""

import dataclasses
from typing import Protocol

import numpy as np

from .. import rules
from ..context import Context
from ..data.access import RawView
from ..data.change import apply_change
from ..data.eight_bit import EightBit
from ..data.pixels import Pixels, with_channels
from ..data.store import ImageStore
from ..data.survey import Survey
from ..methods.cleaning import Outcome
from ..restoration import RestorationConfig
from ..triggers import Trigger
from ..triggers.patch import Patch
from ..triggers.pattern import Pattern
from .anywhere import patches_in
from .frames import Size
from .originals import Originals, larger_than_copy
from .patches import refit_patch, repair_of
from .patterns import refit_pattern, refit_wave
from .scaled import HoleRepair, ScaledRepair
from .spectra import Spectra, find_waves


class Repair(Protocol):
    """Takes a trigger off."""

    @property
    def judges(self) -> bool:
        """Whether it sees itself which images show the trigger; else those do whose working copy was changed."""
        ...

    def describe(self) -> str:
        """For the report: what is taken off, and where it lies."""
        ...

    def __call__(self, image: Pixels, copy: Pixels) -> Pixels:
        """An image without the trigger; the same array where it does not show it.

        Args:
            image: uint8 [H,W,C], the original.
            copy: uint8 [h,w,C], its working copy.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Repairs:
    """How the originals of restored samples are repaired."""

    by_row: dict[int, Repair]
    """By row of the store; where there is none, the change of the working copy is scaled up."""
    notes: list[str]
    """For the report."""
    timings: dict[str, float]
    """Seconds of all stages so far."""

    def __call__(self, row: int, original: EightBit, before: Pixels, after: Pixels) -> EightBit | None:
        """The original without its trigger; None where nothing is to be changed.

        Args:
            before, after: uint8 [h,w,C]; the working copy as it was and restored.
        """
        repair = self.by_row.get(row)
        if (repair is None or not repair.judges) and (before == after).all():
            return None
        if repair is None or original.colour.shape[:2] == before.shape[:2]:
            return apply_change(original, before, after)
        channels = original.colour.shape[2]
        image = with_channels(original.colour, before.shape[2])
        repaired = repair(image, before)
        if (repaired == image).all():
            return None
        return EightBit(with_channels(repaired, channels), original.alpha)


def fit_repairs(
    view: RawView,
    found: Survey,
    store: ImageStore,
    outcome: Outcome,
    config: RestorationConfig,
    context: Context,
) -> Repairs:
    """Fits the triggers that were found again to originals, where those are not of the size of the working copy."""
    by_row: dict[int, Repair] = {}
    notes = []
    larger = larger_than_copy(found, store)
    report, restored = outcome.report, outcome.restored_index
    for finding in outcome.findings:
        rows = restored[finding.members[restored] & larger[restored]]
        if not len(rows):
            continue
        with context.stage("repair originals") as part:
            clean = np.flatnonzero(~report.flagged & larger)
            members = np.flatnonzero(finding.members & larger)
            originals = Originals.drawn(view, found, store, members, clean, report.label[rows], context.seed)
            repair = _fitted(finding.trigger, originals, store.images.shape[1:3], config, part)
        if repair is None:
            continue
        by_row |= dict.fromkeys(rows.tolist(), repair)
        notes.append(f"{finding.place}: of the originals is taken off {repair.describe()}")
    return Repairs(by_row, notes, dict(context.progress.timings))


def _fitted(
    trigger: Trigger | None, originals: Originals, size: Size, config: RestorationConfig, context: Context
) -> Repair | None:
    if trigger is None:
        return None if originals.few else _unexplained(originals, size, config, context)
    if isinstance(trigger, Pattern) and not originals.few:
        return refit_pattern(trigger, originals)
    if isinstance(trigger, Patch) and not trigger.moves and not originals.few:
        hole = trigger.hole(trigger.shift.new_zeros(1, 1, *size))[0, 0] > 0
        patch = refit_patch(hole.cpu().numpy(), originals, config, context)
        if patch is not None:
            return patch
    return HoleRepair(trigger) if trigger.replaces else ScaledRepair(trigger)


def _unexplained(originals: Originals, size: Size, config: RestorationConfig, context: Context) -> Repair | None:
    """The repair of what working copies of this size do not show; None where the originals do not show it either."""
    labels = np.repeat([1, 0], [len(images) for images in originals])
    images = (image for part in originals for image in part)
    for peak in find_waves(Spectra(originals.canvas, size), images, labels, context.seed):
        if peak.label == 1:
            return refit_wave(peak.frequency, originals)
    for patch in patches_in(originals):
        if np.mean([patch.shown_by(image) is not None for image in originals.suspects]) >= rules.SHARED_BY_SUSPECTS:
            return repair_of(patch.window, patch.trigger, originals, config, context)
    return None
