"""Every measure of detection, restoration and training, defined once: pure functions on numpy arrays.

Names in capitals are the papers': PD-AutoR (Chen et al., section 5.1.4) has precision, recall, APD and LRA, and DMA and
DMA_B, which are accuracies of models: see `unpoison.downstream.Downstream`. BaB (Chen et al., SafeAI 2023, section
5.1) has ASR, CA, CDR and PDR.

All rates lie in 0..1. Where there is nothing to measure, such as the recall of data without poison, the answer is None.
All functions raise `ConfigError` for arrays whose shapes do not match and for scores that are not finite.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from .errors import ConfigError, MissingExtraError

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.int64]
Images = npt.NDArray[np.uint8]

SSIM_WINDOW = 11
"""Pixels across the Gaussian window of Wang et al. (2004): smaller images have no SSIM."""


# Detection.


def precision(flagged: Flags, poisoned: Flags) -> float | None:
    """N_1 / |D_p|: the share of flagged samples, bool [N], that are poisoned, bool [N]."""
    _check_shapes(flagged, poisoned)
    return float(sk.precision_score(poisoned, flagged)) if flagged.any() else None


def recall(flagged: Flags, poisoned: Flags) -> float | None:
    """N_1 / N_2, also called TPR: the share of poisoned samples, bool [N], that are flagged, bool [N]."""
    _check_shapes(flagged, poisoned)
    return float(sk.recall_score(poisoned, flagged)) if poisoned.any() else None


def false_positive_rate(flagged: Flags, poisoned: Flags) -> float | None:
    """FPR: the share of clean samples that are flagged; both bool [N]."""
    return recall(flagged, ~poisoned)


class Curve(NamedTuple):
    """A precision-recall curve; one point per distinct score, from the lowest threshold to the highest."""

    precision: npt.NDArray[np.float64]
    """float64 [M+1]; the last is 1 by convention."""
    recall: npt.NDArray[np.float64]
    """float64 [M+1], descending; the last is 0."""
    threshold: npt.NDArray[np.floating[Any]]
    """[M], ascending: samples whose score is at least this are flagged."""


def precision_recall_curve(score: Scores, poisoned: Flags) -> Curve | None:
    """Precision and recall at every threshold of the score, float [N], against the poison, bool [N]."""
    _check_scores(score, poisoned)
    return Curve(*sk.precision_recall_curve(poisoned, score)) if poisoned.any() else None


def average_precision(score: Scores, poisoned: Flags) -> float | None:
    """AP: the area under the precision-recall curve as a sum of steps; score float [N], poisoned bool [N]."""
    _check_scores(score, poisoned)
    return float(sk.average_precision_score(poisoned, score)) if poisoned.any() else None


def clean_data_rate(kept: Flags, poisoned: Flags) -> float | None:
    """CDR: the share of clean samples that are kept as they are; both bool [N]."""
    return share(kept, ~poisoned)


def poisoned_data_rate(kept: Flags, poisoned: Flags) -> float | None:
    """PDR: the share of poisoned samples that are kept as they are; both bool [N]."""
    return share(kept, poisoned)


def share(chosen: Flags, among: Flags) -> float | None:
    """The share of some samples, bool [N], that are chosen, bool [N]."""
    _check_shapes(chosen, among)
    return mean(chosen[among])


# Restored pixels.


def changed_pixels(given: Images, originals: Images) -> Flags:
    """bool [B,H,W]: where poisoned images differ from their originals, both uint8 [B,H,W,C], in any channel."""
    _check_shapes(given, originals)
    changed: Flags = (given != originals).any(-1)
    return changed


def average_pixel_difference(images: Images, originals: Images, where: Flags | None = None) -> float | None:
    """APD: mean absolute difference of pixel values in 0..1, pooled over images, pixels and channels.

    Of restored images to their originals it measures restoration; of clean images that went through a restorer to
    themselves, what the restorer damages (clean pass-through).

    Args:
        images: uint8 [B,H,W,C].
        originals: uint8 [B,H,W,C].
        where: bool [B,H,W], the pixels that count, such as `changed_pixels`; all when None.
    """
    _check_shapes(images, originals)
    difference = np.abs(images.astype(np.float32) - originals) / 255
    if where is None:
        return mean(difference)
    _check_shapes(where, images[..., 0])
    return mean(difference[where])


def peak_signal_noise_ratio(images: Images, originals: Images) -> float | None:
    """PSNR in dB of uint8 images [B,H,W,C], from the squared error over all of them; infinite where they are equal.

    One perfect image would make the mean over images infinite, so errors are pooled before the logarithm; that is
    never more than the mean.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    _check_shapes(images, originals)
    library = _image_metrics()
    if not images.size:
        return None
    if np.array_equal(images, originals):
        return float("inf")
    return float(library.peak_signal_noise_ratio(originals, images, data_range=255))


def structural_similarity(images: Images, originals: Images) -> float | None:
    """SSIM, at most 1, with the window of Wang et al. (2004, Gaussian of 1.5 pixels): mean over channels and images.

    None also for images of less than `SSIM_WINDOW` pixels in height or width.

    Args:
        images: uint8 [B,H,W,C].
        originals: uint8 [B,H,W,C].

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    _check_shapes(images, originals)
    library = _image_metrics()
    if not len(images) or min(images.shape[1:3]) < SSIM_WINDOW:
        return None
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    values = [
        library.structural_similarity(original, image, data_range=255, channel_axis=-1, **settings)
        for image, original in zip(images, originals, strict=True)
    ]
    return float(np.mean(values))


def _image_metrics() -> Any:
    """scikit-image's measures, imported on first use: the extra is optional."""
    try:
        from skimage import metrics
    except ImportError as error:
        raise MissingExtraError("PSNR and SSIM need scikit-image: pip install 'unpoison[metrics]'") from error
    return metrics


# Labels and models.


def accuracy(predicted: Labels, labels: Labels) -> float | None:
    """The share of samples whose predicted class, int64 [N], is their label, int64 [N]. CA on a clean test set."""
    _check_shapes(predicted, labels)
    return float(sk.accuracy_score(labels, predicted)) if len(labels) else None


def label_restoration_accuracy(restored: Labels, truth: Labels) -> float | None:
    """LRA, N_3 / |D_q|: the share of restored samples whose new label, int64 [N], is the true one, int64 [N]."""
    return accuracy(restored, truth)


def attack_success_rate(predicted: Labels, wanted: Labels) -> float | None:
    """ASR: the share of stamped test images whose predicted class, int64 [N], is what the attacker wants, int64 [N]."""
    return accuracy(predicted, wanted)


# What the measures are made of.


def mean(values: npt.NDArray[Any]) -> float | None:
    """The mean in double precision, None of nothing."""
    return float(values.mean(dtype=np.float64)) if values.size else None


def ratio(value: float | None, reference: float | None) -> float | None:
    """Value over reference, None where either is missing or the reference is 0."""
    return value / reference if value is not None and reference else None


def _check_scores(score: Scores, poisoned: Flags) -> None:
    _check_shapes(score, poisoned)
    if not np.isfinite(score).all():
        raise ConfigError("scores must be finite: samples without a score cannot be ranked")


def _check_shapes(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> None:
    if one.shape != other.shape:
        raise ConfigError(f"need two arrays of one shape, got {list(one.shape)} and {list(other.shape)}")
