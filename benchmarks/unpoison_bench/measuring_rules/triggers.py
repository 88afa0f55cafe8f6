"""What the numbers of trigger inversion are compared with: statistics of suspects beside clean images.

Suspects are, of a set without poison, the part of every class that its pixels set apart, which is what the package
suspects without a network; and of a poisoned set the poison. The content of all images is known here, so that these are
the statistics at their best; what a verifier's mistakes do to them is not in it.
"""

from collections.abc import Iterator

import numpy as np
import torch

from unpoison import rules
from unpoison.context import Context
from unpoison.detection.patterns import pixel_clusters
from unpoison.explanation.fit import Fit, Group, fit_trigger
from unpoison.triggers import Blend, Comparison, MovingPatch, Patch, Periodic, Reference, Trigger, Warp, patch
from unpoison.triggers.mixing import find_scale, fit_shift, is_content, shift_likelihood
from unpoison.triggers.pattern import fit_pattern
from unpoison.triggers.search import FALSE_POSITIVES
from unpoison.triggers.statistics import apart, content_matched

from ..shapes import Pixels
from .observing import Observations, Side, agree
from .sets import Data, Flags, one_hot

PATCHES = ("badnets", "firefox_corner", "trojan_square", "trojan_square_clean_label")
PATTERNS = ("blend", "sig", "hello_kitty", "low_frequency")
_KINDS: dict[str, tuple[type[Trigger], ...]] = {
    **dict.fromkeys(PATCHES, (Patch,)),
    **dict.fromkeys(PATTERNS, (Blend, Periodic)),
    "badnets_dynamic": (MovingPatch,),
    "wanet": (Warp,),
}
"""By attack, what its trigger may be found as; others are of none of these kinds alone, and may be found as any."""
REFERENCE = 2000
"""Clean images that suspects are compared with."""
COPIED = 10
"""Images of a set of near-duplicates whose copies are looked at."""
_SEED = 0


def observe(data: Data) -> Observations:
    """Of a set without poison, or with poison of one attack."""
    seen = Observations()
    if not data.attacks:
        _clean(seen, data)
    elif len(data.attacks) == 1:
        _poisoned(seen, data, data.attacks[0])
    return seen


def fit_poison(data: Data) -> Fit | None:
    """What the package finds in the poison, if it is of the kind that the attack's trigger is."""
    found = _fit(data, data.poisoned)
    kinds = _KINDS.get(data.attacks[0])
    return None if found is None or (kinds is not None and not isinstance(found.trigger, kinds)) else found


def _clean(seen: Observations, data: Data) -> None:
    if data.series > 1:
        for first in range(0, COPIED * data.series, data.series):
            copies = np.isin(np.arange(len(data.labels)), np.arange(first, first + data.series))
            comparison = _comparison(data, copies)
            seen.add("OPAQUE", "clean", 1 - _scale(comparison))
    groups = list(_set_apart(data))
    for suspects in groups:
        comparison = _comparison(data, suspects)
        _patches(seen, "clean", comparison)
        _pattern(seen, "clean", comparison)
    for suspects in groups[:1]:
        found = _fit(data, suspects)
        if found is not None:
            _shown(seen, "clean", found.trigger, data, suspects)


def _poisoned(seen: Observations, data: Data, attack: str) -> None:
    comparison = _comparison(data, data.poisoned)
    if attack in PATCHES:
        _patches(seen, "poison", comparison)
    if attack in PATTERNS:
        _pattern(seen, "poison", comparison)
        mask = patch.find_patch(comparison.shares, comparison.reference.shares, comparison.shape)
        if mask is not None:
            seen.add("PATCH_GAIN", "clean", _gain(mask[0], comparison))
    found = fit_poison(data)
    if found is not None:
        _shown(seen, "poison", found.trigger, data, data.poisoned)
        _matched(seen, found.trigger, data)


def _set_apart(data: Data) -> Iterator[Flags]:
    """Parts of classes, bool [N], the clearest one first."""
    everything = np.ones(len(data.labels), bool)
    for cluster in pixel_clusters(data.images, data.labels, everything, _SEED):
        if cluster.inside.sum() >= rules.LEAST_FLAGGED:
            yield cluster.inside


def _comparison(data: Data, suspects: Flags) -> Comparison:
    content = one_hot(data.truth, data.classes)
    drawn, repeats = np.unique(content_matched(content, suspects, REFERENCE, _SEED), return_counts=True)
    reference = Reference(
        data.images[drawn], repeats, data.images, np.flatnonzero(~suspects), np.random.default_rng(_SEED)
    )
    return Comparison(data.images[suspects], reference, FALSE_POSITIVES[-1], {}, _SEED)


def _fit(data: Data, suspects: Flags) -> Fit | None:
    """What the package itself finds in a group of the classes of the suspects."""
    inside = np.isin(data.labels, np.unique(data.labels[suspects]))
    odds = np.where(suspects, rules.DETECTOR_SAY, -rules.DETECTOR_SAY).astype(np.float32)
    content = one_hot(data.truth, data.classes)
    group = Group(data.images, inside, suspects & inside, odds, np.zeros_like(odds), content)
    return fit_trigger(group, Context(seed=_SEED))


def _patches(seen: Observations, side: Side, comparison: Comparison) -> None:
    flagged, clean = comparison.shares, comparison.reference.shares
    # As in `find_patch`, which returns the pixels that reach both numbers.
    share, value = patch._commonest(flagged)
    excess = share - patch._in_window(clean).gather(1, value[:, None])[:, 0]
    clearest = int(excess.argmax())
    seen.add("PATCH_SHOWN", side, share[clearest])
    seen.add("PATCH_EXCESS", side, excess[clearest])
    found = patch.find_patch(flagged, clean, comparison.shape)
    if found is None:
        return
    mask, values = found
    agree("PATCH_EXCESS", bool(((share >= rules.PATCH_SHOWN) & (excess >= rules.PATCH_EXCESS)).any()), True)
    if side == "poison":
        seen.add("PATCH_AREA", side, mask.float().mean())
        seen.add("PATCH_GAIN", side, _gain(mask, comparison))
    estimate = Patch.of(mask, values, comparison.reference.images)
    usual, shown = (estimate._standing_out(part) for part in (comparison.reference.images, comparison.suspects))
    _gap(seen, "patch", side, usual[usual < rules.PATCH_MATCHED], shown)


def _gain(mask: torch.Tensor, comparison: Comparison) -> torch.Tensor:
    """As in `is_pattern`."""
    (share, _), (usual, _) = (patch._commonest(part) for part in (comparison.shares, comparison.reference.shares))
    gain = (share - usual).view(*mask.shape, -1)[mask].mean()
    if patch.is_pattern(mask, comparison.shares, comparison.reference.shares, len(comparison.suspects)):
        agree("PATCH_GAIN", bool(gain < rules.PATCH_GAIN), True)
    return gain


def _scale(comparison: Comparison) -> float:
    shares, clean = comparison.shares, comparison.reference.shares
    return find_scale(shares, clean, comparison.false_positives, comparison.seed)


def _pattern(seen: Observations, side: Side, comparison: Comparison) -> None:
    flagged, reference = comparison.shares, comparison.reference
    scale = _scale(comparison)
    if side == "poison":
        seen.add("LEAST_SCALE", side, scale)
    shift, _ = fit_shift(
        comparison.suspects,
        reference.images,
        flagged,
        reference.shares,
        reference.spectrum,
        scale,
        comparison.false_positives,
    )
    levels = 255 * shift
    excess = torch.maximum(-levels, levels - 255 * (1 - scale)).quantile(rules.MOST_OF_PATTERN)
    agree("MOST_EXCESS", bool(excess > rules.MOST_EXCESS), is_content(scale, shift))
    seen.add("MOST_EXCESS", side, excess)
    if scale < 1:
        with_it, without = (
            shift_likelihood(flagged, reference.shares, factor, comparison.false_positives)[0].max(1).values.mean()
            for factor in (scale, 1.0)
        )
        seen.add("BLEND_GAIN", side, with_it - without)
    found = fit_pattern(comparison)
    if found is None:
        return
    centre, spread, shown, _ = found.calibration.tolist()
    seen.add("HELD_OUT_SEPARATION", side, (shown - centre) / spread)
    seen.add("LARGEST_VARIATION", side, found.variation)
    if found.variation > rules.LARGEST_VARIATION:
        _gap(seen, "pattern", side, found.scores_of(reference.images), found.scores_of(comparison.suspects))
    if side == "poison":
        seen.add("OPAQUE", side, 1 - found.scale.mean())


def _gap(seen: Observations, kind: str, side: Side, clean: torch.Tensor, shown: torch.Tensor) -> None:
    """As in `apart`, which returns its decision alone."""
    if not len(clean) or not len(shown):
        return
    centre = clean.median()
    far, reach = shown.quantile(0.1) - centre, clean.quantile(0.99) - centre
    agree("GAP", bool(far >= rules.GAP * reach), apart(clean, shown))
    if reach > 0:
        seen.add(f"GAP, {kind}", side, far / reach)


def _shown(seen: Observations, side: Side, estimate: Trigger, data: Data, suspects: Flags) -> None:
    """Who shows what was found."""
    evidence = estimate.evidence(data.images)
    others = ~np.isin(data.labels, np.unique(data.labels[suspects])) & ~data.poisoned
    carrying = suspects if side == "poison" else np.zeros_like(suspects)
    seen.add("SHARED_BY_SUSPECTS", side, (evidence[suspects] > 0).mean())
    if others.any():
        seen.add("USUAL_ELSEWHERE", side, (evidence[others] > 0).mean())
    seen.add("PATTERN_KNOWN", "clean", (evidence[~carrying & ~data.poisoned] > 0).mean())
    if side == "poison":
        seen.add("PATTERN_KNOWN", "poison", (evidence[suspects] > 0).mean())
        seen.add("DETECTOR_SAY", "poison", evidence[suspects])
        seen.add("DETECTOR_SAY", "clean", evidence[~data.poisoned])
    if isinstance(estimate, Warp):
        scores, usual = (_scores(estimate, data.images[part]) for part in (suspects, ~suspects & ~data.poisoned))
        centre, spread = usual.median(), 1.4826 * (usual - usual.median()).abs().median()
        seen.add("WARP_SHOWN", side, (scores > 0).float().mean())
        seen.add("WARP_SEPARATION", side, (scores.median() - centre) / spread)


@torch.inference_mode()
def _scores(estimate: Warp, images: Pixels) -> torch.Tensor:
    return estimate.warp.scores(estimate._input(images))


def _matched(seen: Observations, estimate: Trigger, data: Data) -> None:
    """How much of a patch clean images and those with it show, and how it stands out."""
    if not isinstance(estimate, Patch):
        return
    kind = "moving patch" if estimate.moves else "patch"
    parts: dict[Side, Flags] = {"clean": ~data.poisoned, "poison": data.poisoned}
    for side, part in parts.items():
        shown, contrast = estimate._compared(data.images[part])
        if not estimate.moves:
            seen.add("PATCH_MATCHED", side, shown[contrast >= rules.PATCH_CONTRAST[kind]])
        seen.add(f"PATCH_CONTRAST, {kind}", side, contrast[shown >= rules.PATCH_MATCHED])
