"""Every measure against values worked out by hand."""

import sys

import numpy as np
import pytest

from unpoison import metrics
from unpoison.errors import ConfigError, MissingExtraError, UnpoisonError

POISONED = np.array([True, True, True, True, False, False, False, False, False, False])
FLAGGED = np.array([True, True, True, False, True, True, False, False, False, False])
NOTHING = np.zeros(10, bool)


def test_rates_at_a_decision():
    assert metrics.precision(FLAGGED, POISONED) == pytest.approx(3 / 5)
    assert metrics.recall(FLAGGED, POISONED) == pytest.approx(3 / 4)
    assert metrics.false_positive_rate(FLAGGED, POISONED) == pytest.approx(2 / 6)
    assert metrics.clean_data_rate(~FLAGGED, POISONED) == pytest.approx(4 / 6)
    assert metrics.poisoned_data_rate(~FLAGGED, POISONED) == pytest.approx(1 / 4)


def test_rates_of_nothing():
    assert metrics.precision(NOTHING, POISONED) is None
    assert metrics.recall(NOTHING, POISONED) == 0
    assert metrics.recall(FLAGGED, NOTHING) is None
    assert metrics.false_positive_rate(FLAGGED, ~NOTHING) is None
    assert metrics.clean_data_rate(~FLAGGED, ~NOTHING) is None
    assert metrics.poisoned_data_rate(~FLAGGED, NOTHING) is None
    assert metrics.average_precision(np.arange(10.0), NOTHING) is None
    assert metrics.precision_recall_curve(np.arange(10.0), NOTHING) is None


def test_precision_recall_curve():
    # In descending order: poisoned, clean, poisoned.
    curve = metrics.precision_recall_curve(np.array([0.9, 0.5, 0.7]), np.array([True, True, False]))
    assert curve.threshold.tolist() == [0.5, 0.7, 0.9]
    assert curve.precision == pytest.approx([2 / 3, 1 / 2, 1, 1])
    assert curve.recall == pytest.approx([1, 1 / 2, 1 / 2, 0])


def test_average_precision():
    score, poisoned = np.array([0.9, 0.5, 0.7], np.float32), np.array([True, True, False])
    assert metrics.average_precision(score, poisoned) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert metrics.average_precision(-score, ~poisoned) == pytest.approx(1 / 2)


@pytest.fixture
def images():
    """Two grey images of 16x16 pixels; the second of them had a patch of 2x2, of which one pixel was not restored."""
    originals = np.full((2, 16, 16, 3), 100, np.uint8)
    given = originals.copy()
    given[1, :2, :2] = 151
    restored = originals.copy()
    restored[1, 0, 0] = 49
    return originals, given, restored


def test_pixel_differences(images):
    originals, given, restored = images
    changed = metrics.changed_pixels(given, originals)
    assert (changed.sum(), changed[1, :2, :2].all()) == (4, True)
    assert metrics.average_pixel_difference(given, originals, changed) == pytest.approx(0.2)
    assert metrics.average_pixel_difference(restored, originals, changed) == pytest.approx(0.05)
    assert metrics.average_pixel_difference(given, originals) == pytest.approx(0.2 * 4 / 512)
    # Clean pass-through: what became of the image that had no patch.
    assert metrics.average_pixel_difference(restored[:1], given[:1]) == 0


def test_change_of_one_channel_counts():
    originals = np.zeros((1, 2, 2, 3), np.uint8)
    given = originals.copy()
    given[0, 1, 0, 2] = 1
    assert metrics.changed_pixels(given, originals).tolist() == [[[False, False], [True, False]]]


def test_psnr_pools_the_squared_error(images):
    originals, given, _ = images
    # 4 of 512 pixels are off by 51 = 255/5.
    assert metrics.peak_signal_noise_ratio(given, originals) == pytest.approx(10 * np.log10(25 * 512 / 4))
    assert metrics.peak_signal_noise_ratio(originals, originals) == float("inf")


def test_ssim_of_flat_images():
    # Without variance the formula leaves (2ab + C1) / (a² + b² + C1), C1 = (0.01 · 255)².
    one, other = np.full((3, 16, 16, 3), 100, np.uint8), np.full((3, 16, 16, 3), 150, np.uint8)
    c1 = 2.55**2
    assert metrics.structural_similarity(one, other) == pytest.approx(
        (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1), abs=1e-4
    )
    assert metrics.structural_similarity(one, one) == pytest.approx(1)
    assert metrics.structural_similarity(one[:, :10], other[:, :10]) is None


def test_ssim_is_that_of_the_paper():
    # A single pixel in the middle of an 11x11 image: the window is centred there, and nothing else counts.
    image, original = np.zeros((2, 1, 11, 11, 1), np.uint8)
    original[:] = 90
    image[:] = 90
    image[0, 5, 5, 0] = 190
    at = np.arange(-5, 6)
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    window /= window.sum()
    x, y = (values[0, ..., 0].astype(float) for values in (image, original))
    mean_x, mean_y = (window * x).sum(), (window * y).sum()
    variance_x, variance_y = (window * x**2).sum() - mean_x**2, (window * y**2).sum() - mean_y**2
    covariance = (window * x * y).sum() - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    assert metrics.structural_similarity(image, original) == pytest.approx(expected, rel=1e-6)


def test_pixels_of_nothing(images):
    originals, given, _ = (batch[:0] for batch in images)
    assert metrics.average_pixel_difference(given, originals) is None
    assert metrics.peak_signal_noise_ratio(given, originals) is None
    assert metrics.structural_similarity(given, originals) is None
    nowhere = np.zeros((2, 16, 16), bool)
    assert metrics.average_pixel_difference(images[0], images[1], nowhere) is None


@pytest.mark.parametrize("measure", [metrics.peak_signal_noise_ratio, metrics.structural_similarity])
def test_missing_extra_is_named(measure, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unpoison\[metrics\]'") as raised:
        measure(images[0], images[1])
    assert isinstance(raised.value, UnpoisonError)


def test_labels_and_models():
    predicted, truth = np.array([1, 2, 0, 0]), np.array([1, 2, 3, 0])
    assert metrics.accuracy(predicted, truth) == 0.75
    assert metrics.label_restoration_accuracy(predicted[:3], truth[:3]) == pytest.approx(2 / 3)
    assert metrics.attack_success_rate(predicted, np.zeros(4, np.int64)) == 0.5
    assert metrics.accuracy(predicted[:0], truth[:0]) is None
    assert metrics.label_restoration_accuracy(predicted[:0], truth[:0]) is None
    assert metrics.attack_success_rate(predicted[:0], truth[:0]) is None


def test_mean_and_ratio():
    assert metrics.mean(np.array([True, False, True, True])) == 0.75
    assert metrics.mean(np.array([])) is None
    assert metrics.ratio(1.0, 4.0) == 0.25
    assert [metrics.ratio(None, 4.0), metrics.ratio(1.0, None), metrics.ratio(1.0, 0.0)] == [None] * 3


@pytest.mark.parametrize(
    ("measure", "one", "other"),
    [
        (metrics.precision, np.ones(3, bool), np.ones(4, bool)),
        (metrics.recall, np.ones(3, bool), np.ones(4, bool)),
        (metrics.share, np.ones(3, bool), np.ones((3, 1), bool)),
        (metrics.average_precision, np.ones(3), np.ones(4, bool)),
        (metrics.precision_recall_curve, np.ones(3), np.ones(4, bool)),
        (metrics.changed_pixels, np.zeros((1, 8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)),
        (metrics.average_pixel_difference, np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 1), np.uint8)),
        (metrics.peak_signal_noise_ratio, np.zeros((1, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)),
        (metrics.structural_similarity, np.zeros((1, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)),
        (metrics.accuracy, np.ones(3, int), np.ones(4, int)),
    ],
)
def test_shapes_must_match(measure, one, other):
    with pytest.raises(ConfigError, match="need two arrays of one shape"):
        measure(one, other)


def test_pixels_that_count_must_fit():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(ConfigError, match="need two arrays of one shape"):
        metrics.average_pixel_difference(images, images, np.ones((8, 8), bool))


@pytest.mark.parametrize("measure", [metrics.average_precision, metrics.precision_recall_curve])
def test_scores_must_be_finite(measure):
    with pytest.raises(ConfigError, match="scores must be finite"):
        measure(np.array([1.0, np.nan, 2.0]), np.array([True, False, False]))
