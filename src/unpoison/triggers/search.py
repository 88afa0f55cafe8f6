"""Trigger inversion: how the flagged images were made, from the statistics of D_p against D_c.

No step knows the attack. The kinds of triggers are tried in their order: a patch first, because replaced pixels fit no
other model; else a global pattern is fitted, and kept only if images that were held out of the fit show it, too; then
comes a patch that moves, and last a warp.
"""

import numpy as np
import numpy.typing as npt

from .. import rules
from ..context import Context
from .base import Comparison, Trigger
from .reference import Reference
from .registry import triggers
from .statistics import content_matched

FALSE_POSITIVES = (0.2, 0.02, 0.02)
"""Expected share of false flags in each round of fitting: every round leaves out those that the one before found."""
_MAX_FLAGGED = 2000
_MAX_REFERENCE, _REFERENCE_PER_FLAGGED = 6000, 100
"""More clean images add no precision."""
_REFERENCE_VALUES = 24_000_000
"""Bounds reference images x pixels: large images need fewer of them for the same precision."""


def search_trigger(
    images: npt.NDArray[np.uint8],
    poisoned: npt.NDArray[np.bool_],
    clean_probabilities: npt.NDArray[np.float32],
    context: Context | None = None,
) -> Trigger | None:
    """Explains how the flagged images were made (trigger inversion); the prototype of PD-AutoR's G_p (section 3.2).

    Args:
        images: uint8 [N,H,W,C], may be memory-mapped.
        poisoned: bool [N], the flags; up to 30 % of them may be false.
        clean_probabilities: float32 [N,K], softmax of a classifier trained on the unflagged images.
        context: on its device the trigger is put; the fit itself is light and runs on the CPU.

    Returns:
        The trigger, None where nothing explains the flagged images.
    """
    context = Context() if context is None else context
    values = int(np.prod(images.shape[1:]))
    flagged = np.flatnonzero(poisoned)
    if len(flagged) < rules.LEAST_FLAGGED or len(flagged) == len(images):
        return None
    count = max(200, min(_MAX_REFERENCE, _REFERENCE_VALUES // values, _REFERENCE_PER_FLAGGED * len(flagged)))
    rng = np.random.default_rng(context.seed)
    flagged = np.sort(
        rng.permutation(flagged)[: max(rules.LEAST_FLAGGED, min(_MAX_FLAGGED, _REFERENCE_VALUES // values))]
    )
    drawn, repeats = np.unique(content_matched(clean_probabilities, poisoned, count, context.seed), return_counts=True)
    reference = Reference(
        distinct=images[drawn],
        repeats=repeats,
        dataset=images,
        clean=np.flatnonzero(~poisoned & clean_probabilities.any(1)),
        rng=rng,
    )
    suspects = images[flagged]
    context.update(0.1)

    earlier: dict[str, Trigger] = {}
    for turn, false_positives in enumerate(FALSE_POSITIVES):
        if len(suspects) < rules.LEAST_FLAGGED:
            return None
        explained = _first(Comparison(suspects, reference, false_positives, earlier, context.seed))
        context.update(0.1 + 0.9 * (turn + 1) / len(FALSE_POSITIVES))
        if explained is None:
            return None
        found = earlier[explained.kind] = explained
        # The next fit sees only what shows the trigger, not false positives.
        kept = found.evidence(images[flagged]) > 0
        if turn and kept.sum() == len(suspects):
            break
        suspects = images[flagged[kept]]
    concluded = found.conclude(Comparison(suspects, reference, FALSE_POSITIVES[-1], earlier, context.seed))
    return None if concluded is None else concluded.to(context.device)


def _first(comparison: Comparison) -> Trigger | None:
    """The trigger of the first kind that explains the suspects, which most of them show."""
    for kind in triggers():
        found = kind.find(comparison)
        if found is not None and (found.evidence(comparison.suspects) > 0).mean() > 0.5:
            return found
    return None
