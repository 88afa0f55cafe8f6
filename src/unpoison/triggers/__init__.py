"""Estimate of the poisoning transform from the statistics of D_p against D_c.

No step knows the attack. A patch is looked for first, because replaced pixels fit no other model; else a global
pattern is fitted, and kept only if images that were held out of the fit show it, too; then comes a patch that moves,
and last a warp.
"""

import numpy as np
import numpy.typing as npt
import torch

from .. import rules
from ..progress import Stage
from ..training.loop import EVAL_BATCH, as_input
from .base import KINDS as KINDS
from .base import Estimate as Estimate
from .base import Kind as Kind
from .blend import build, find_scale, fit_shift, is_content, stamped_mean
from .moving import find_moving_patch
from .patch import estimate_patch, find_patch, is_pattern
from .periodic import find_waves, fit_waves
from .statistics import Spectrum, centre_and_spread, content_matched, histograms
from .warping import find_warp

_FOLDS = 4
FALSE_POSITIVES = (0.2, 0.02, 0.02)
"""Expected share of false flags in each round of fitting: every round leaves out those that the one before found."""
_MAX_FLAGGED = 2000
_MAX_REFERENCE, _REFERENCE_PER_FLAGGED = 6000, 100
"""More clean images add no precision."""
_REFERENCE_VALUES = 24_000_000
"""Bounds reference images x pixels: large images need fewer of them for the same precision."""
_WARP_REFERENCE = 4000
"""Clean images whose detail is measured; the content of those that a group leaves out has no probabilities."""


def estimate_transform(
    images: npt.NDArray[np.uint8],
    poisoned: npt.NDArray[np.bool_],
    clean_probabilities: npt.NDArray[np.float32],
    *,
    device: torch.device | None = None,
    seed: int = 0,
    stage: Stage | None = None,
) -> Estimate:
    """Explains how the flagged images were made; the prototype of PD-AutoR's G_p (section 3.2).

    Args:
        images: uint8 [N,H,W,C], may be memory-mapped.
        poisoned: bool [N], the flags; up to 30 % of them may be false.
        clean_probabilities: float32 [N,K], softmax of a classifier trained on the unflagged images.
        device: where the estimate is put; the fit itself is light and runs on the CPU.

    Returns:
        An `Estimate`, of kind "none" where nothing explains the flagged images.
    """
    shape: tuple[int, int, int] = images.shape[1:]
    values = int(np.prod(shape))
    none = Estimate("none", shape).to(device)
    flagged = np.flatnonzero(poisoned)
    if len(flagged) < rules.LEAST_FLAGGED or len(flagged) == len(images):
        return none
    count = max(200, min(_MAX_REFERENCE, _REFERENCE_VALUES // values, _REFERENCE_PER_FLAGGED * len(flagged)))
    rng = np.random.default_rng(seed)
    flagged = np.sort(
        rng.permutation(flagged)[: max(rules.LEAST_FLAGGED, min(_MAX_FLAGGED, _REFERENCE_VALUES // values))]
    )
    drawn, repeats = np.unique(content_matched(clean_probabilities, poisoned, count, seed), return_counts=True)
    reference = np.repeat(images[drawn], repeats, 0)
    suspects = images[flagged]
    clean_shares = histograms(reference)
    spectrum = Spectrum.measure(reference)
    if stage:
        stage.update(0.1)

    warp = None
    for turn, false_positives in enumerate(FALSE_POSITIVES):
        if len(suspects) < rules.LEAST_FLAGGED:
            return none
        suspect_shares = histograms(suspects)
        patch = find_patch(suspect_shares, clean_shares, shape)
        if patch is not None and not is_pattern(patch[0], suspect_shares, clean_shares, len(suspects)):
            found = estimate_patch(*patch, reference, shape)
        else:
            found = _fit_pattern(suspects, reference, suspect_shares, clean_shares, spectrum, false_positives, seed)
        if found.kind == "none" and (moving := find_moving_patch(suspects, reference, seed)) is not None:
            found = estimate_patch(*moving, reference, shape, "moving patch")
        if found.kind == "none":
            clean = np.flatnonzero(~poisoned & clean_probabilities.any(1))
            found = find_warp(suspects, images, rng.permutation(clean)[:_WARP_REFERENCE], warp, seed=seed) or none
            warp = found.warp
        if stage:
            stage.update(0.1 + 0.9 * (turn + 1) / len(FALSE_POSITIVES))
        if found.kind == "none":
            return none
        # The next fit sees only what shows the trigger, not false positives.
        kept = found.evidence(images[flagged]) > 0
        if turn and kept.sum() == len(suspects):
            break
        suspects = images[flagged[kept]]
    varies = found.kind in ("blend", "periodic") and found.variation > rules.LARGEST_VARIATION
    if (found.kind == "patch" or varies) and not _apart(found, suspects, reference):
        return none
    if found.kind == "patch" and len(suspects) >= rules.LEAST_FLAGGED:
        found = _over_pattern(found, suspects, reference, clean_shares, spectrum, seed)
    return found.to(device)


def _apart(found: Estimate, suspects: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8]) -> bool:
    """Whether hardly any image lies between those that show a trigger and those that do not: where images resemble each
    other by themselves, they do so more or less."""
    if found.kind == "patch":
        clean, shown = _standing_out(found, reference), _standing_out(found, suspects)
        # Who shows it is no measure for others: some of the poison may not be flagged.
        clean = clean[clean < rules.PATCH_MATCHED]
    else:
        clean, shown = _scores(found, reference), _scores(found, suspects)
    if not len(clean) or not len(shown):
        return True
    centre = clean.median()
    return bool(shown.quantile(0.1) - centre >= rules.GAP * (clean.quantile(0.99) - centre))


def _over_pattern(
    patch: Estimate,
    suspects: npt.NDArray[np.uint8],
    reference: npt.NDArray[np.uint8],
    clean_shares: torch.Tensor,
    spectrum: Spectrum,
    seed: int,
) -> Estimate:
    """The patch, over a pattern if the images that show it have one, too."""
    with torch.inference_mode():
        filled = [patch.invert(as_input(chunk)) for chunk in torch.split(torch.from_numpy(suspects), EVAL_BATCH)]
    bare = (torch.cat(filled) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    pattern = _fit_pattern(bare, reference, histograms(bare), clean_shares, spectrum, FALSE_POSITIVES[-1], seed)
    if pattern.kind == "none":
        return patch
    hole = patch.scale < rules.REPLACED
    return patch.set(
        scale=torch.where(hole, patch.scale, pattern.scale), shift=torch.where(hole, patch.shift, pattern.shift)
    )


def _fit_pattern(
    suspects: npt.NDArray[np.uint8],
    reference: npt.NDArray[np.uint8],
    suspect_shares: torch.Tensor,
    clean_shares: torch.Tensor,
    spectrum: Spectrum,
    false_positives: float,
    seed: int,
) -> Estimate:
    scale = find_scale(suspect_shares, clean_shares, false_positives, seed)

    def fit(images: npt.NDArray[np.uint8], shares: torch.Tensor) -> Estimate:
        shift, variance = fit_shift(images, reference, shares, clean_shares, spectrum, scale, false_positives)
        if scale > 0.975:
            frequencies = find_waves(shift, float(variance.mean()))
            if frequencies:
                mean = as_input(torch.from_numpy(images)).mean(0)
                shift = fit_waves(frequencies, spectrum, mean, lambda shift: stamped_mean(reference, 1.0, shift))
                # Two numbers per wave and channel: their error is negligible.
                return build("periodic", spectrum, 1.0, shift, torch.zeros_like(variance))
        return build("blend", spectrum, scale, shift, variance)

    estimate = fit(suspects, suspect_shares)
    if is_content(scale, estimate.shift):
        return Estimate("none", estimate.shape)
    centre, spread = centre_and_spread(_scores(estimate, reference))
    if centre_and_spread(_scores(estimate, suspects))[0] < centre + rules.HELD_OUT_SEPARATION * spread:
        # What the images of the fit itself do not show, held-out ones do not either.
        return Estimate("none", estimate.shape)
    held_out, partial_shifts = [], []
    fold = np.random.default_rng(seed).permutation(len(suspects)) % _FOLDS
    for number in range(_FOLDS):
        rest = suspects[fold != number]
        partial = fit(rest, histograms(rest))
        partial_shifts.append(partial.shift)
        location, scale_here = centre_and_spread(_scores(partial, reference))
        held_out.append((_scores(partial, suspects[fold == number]) - location) / scale_here)
        scores = torch.cat(held_out)
        if 2 * (scores < rules.HELD_OUT_SEPARATION).sum() >= len(suspects):
            return Estimate("none", estimate.shape)
    location, width = centre_and_spread(scores)
    # The jackknife: how far b moves without a part of the images.
    error = (torch.stack(partial_shifts).var(0, correction=0) * (_FOLDS - 1)).mean().sqrt()
    if estimate.kind == "blend" and scale == 1:
        # Where no more than noise was added, nothing is taken off.
        estimate.set(shift=torch.where(estimate.shift.abs() > rules.SIGNIFICANT * error, estimate.shift, 0))
    return estimate.set(
        tolerance=error,
        calibration=torch.stack([centre, spread, centre + location * spread, spread * width.clamp_min(0.5)]),
    )


def _scores(estimate: Estimate, images: npt.NDArray[np.uint8]) -> torch.Tensor:
    with torch.inference_mode():
        chunks = torch.split(torch.from_numpy(images), EVAL_BATCH)
        return torch.cat([estimate.scores(as_input(chunk)) for chunk in chunks])


def _standing_out(patch: Estimate, images: npt.NDArray[np.uint8]) -> torch.Tensor:
    """The share of a patch's values that images show, float32 [n], without those in which it would hardly be seen."""
    with torch.inference_mode():
        chunks = torch.split(torch.from_numpy(images), EVAL_BATCH)
        shown, contrast = map(torch.cat, zip(*(patch.compare(as_input(x)) for x in chunks), strict=True))
    return shown[contrast >= patch.contrast[0]]
