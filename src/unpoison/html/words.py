"""A report's facts in plain English."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..pictures import Footprint
from ..printable import printable
from ..results import Results

if TYPE_CHECKING:
    from ..triggers import Trigger

REASONS = {
    "asked": "flagged images were to be dropped",
    "unclear": "after restoring, a network trained on the unflagged images is not sure what it shows",
    "pulled": "after restoring, the network that learned the poison still leans to the old label",
    "inexact": "the trigger is known too little for taking it off to bring the image closer to what it was",
    "unreadable": "the image could not be read",
    "duplicate": "the same image is there already, or under other labels as often",
    "": "the reason was not recorded",
}
STATUS = {
    "poisoned": "poisoned",
    "needs a look": "needs a look: more of it was flagged than max_altered allows, so nothing in it was changed",
    "not assessable": "not assessable: what was seen of this class says neither that it is poisoned nor that it is not",
    "clean": "nothing found",
}
UNCHANGED = 1.0
"""Grey levels; a mean change below this is none."""
FOOT = 1 / 3
"""A pixel belongs to the trigger's place if it changes by this much of the most changed one."""
SMALL, SPECKS = 0.3, 0.1
"""Of the image: the largest box that is a place, and the most pixels that are single spots."""
NAMED = 3


def class_name(report: Results, label: int) -> str:
    """A class by name and number, by number alone where it has no name."""
    names = report.class_names
    if names is None or not 0 <= label < len(names) or names[label] == str(label):
        return str(label)
    return printable(f"{names[label]} ({label})")


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


class Place(NamedTuple):
    """Where an image changes."""

    words: str
    """To follow "the change is"."""
    small: bool
    """Whether it is one spot."""


def place(change: npt.NDArray[np.float32]) -> Place:
    """Names the place of a mean absolute change [H,W] in grey levels."""
    if change.max() < UNCHANGED:
        return Place("too small to see", False)
    # What a restorer does everywhere is not the place.
    excess = change - np.median(change)
    mask = excess >= FOOT * excess.max()
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    (top, bottom), (left, right) = ((int(side[0]), int(side[-1]) + 1) for side in (rows, columns))
    height, width = change.shape
    if (bottom - top) * (right - left) <= SMALL * change.size:
        across = _third((left + right) / 2 / width, "left", "right")
        along = _third((top + bottom) / 2 / height, "top", "bottom")
        where = f"at the {along} {across}".replace("  ", " ").rstrip() if across or along else "in the middle"
        return Place(f"{where}, {bottom - top} × {right - left} pixels", True)
    return Place("in a few spots" if mask.mean() <= SPECKS else "spread over the image", False)


def _third(position: float, low: str, high: str) -> str:
    return low if position < 1 / 3 else high if position > 2 / 3 else ""


def targets(report: Results) -> list[int]:
    """The classes that flagged backdoor samples are labelled with, those with most of them first."""
    labels, counts = np.unique(report.original_label[report.kind == "backdoor"], return_counts=True)
    return [int(label) for label in labels[np.argsort(-counts, kind="stable")]]


def main_footprint(report: Results) -> Footprint | None:
    """Of the first target class whose images change."""
    for label in targets(report):
        for footprint in report.pictures.footprints if report.pictures is not None else ():
            if label in footprint.classes and footprint.change.max() >= UNCHANGED:
                return footprint
    return None


def kind(footprint: Footprint) -> str:
    """What its trigger does, in words; its name where this installation does not know such triggers, "" where nothing
    explains the change."""
    trigger = _trigger(footprint)
    return footprint.kind if trigger is None else trigger.description


def _trigger(footprint: Footprint) -> "type[Trigger] | None":
    if not footprint.kind:
        return None
    from ..triggers import triggers  # loads torch, which a page of no explained trigger does without

    return next((trigger for trigger in triggers() if trigger.kind == footprint.kind), None)


def verdict(report: Results) -> str:
    """One sentence, and one about the classes that a person should look at."""
    total, flagged = len(report), int(report.flagged.sum())
    look = _to_look_at(report)
    if not flagged:
        what = "No flag was acted on" if look else "Nothing was flagged"
        return f"{what} among {total:,} images, which is no proof that they hold no poison.{look}"
    backdoor, mislabelled = (int((report.kind == kind).sum()) for kind in ("backdoor", "mislabelled"))
    parts = []
    if backdoor:
        classes = targets(report)
        names = listed([class_name(report, label) for label in classes])
        of = "class" if len(classes) == 1 else "classes"
        parts.append(f"{backdoor:,} look poisoned with a backdoor for {of} {names}{_where(report)}")
    if mislabelled:
        parts.append(f"{mislabelled:,} look mislabelled")
    return f"Of {total:,} images, {' and '.join(parts) or f'{flagged:,} were flagged'}.{look}"


def _to_look_at(report: Results) -> str:
    classes = report.with_status("needs a look")
    if not classes:
        return ""
    what, need = ("Class", "needs") if len(classes) == 1 else ("Classes", "need")
    names = listed([class_name(report, label) for label in classes])
    return f" {what} {names} {need} a look: so much was flagged that nothing in it was changed."


def _where(report: Results) -> str:
    shown = main_footprint(report)
    if shown is None:
        return ""
    trigger = _trigger(shown)
    if trigger is not None and trigger.moves:
        return f", with {trigger.description}"
    found = place(shown.change)
    return f", with a trigger {found.words}" if found.small else f", by a change {found.words}"


def reproduce(report: Results) -> str:
    """The call that gives this report again."""
    config = report.config
    # Your own configuration stands whole beside the call.
    arguments = [repr(config.get("method", "")), f"config={config['preset']!r}" if "preset" in config else "config=..."]
    arguments += [
        f"{name}={config[name]!r}"
        for name in ("on_poison", "max_altered", "duplicates", "restorer", "device", "seed")
        if name in config
    ]
    return f"unpoison.Sanitizer({', '.join(arguments)}).fit(dataset)"
