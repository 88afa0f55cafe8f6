"""Published defences: they find what they were made for, on numbers from a drawn model and on a real network's."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import FastICA

from unpoison import metrics
from unpoison.detection.svd import svd_scores
from unpoison.detectors import activation_clustering, post_training, scan, spectre
from unpoison.detectors.base import between
from unpoison.errors import ConfigError
from unpoison_bench.baselines import BASELINES, art

CLASSES, SIZE, DIMENSIONS, POISONED = 6, 300, 16, 40
DECIDING = ("activation_clustering", "scan")


@pytest.fixture(params=BASELINES)
def name(request):
    return request.param


def drawn(distance, seed=0):
    """Six normal classes; the first samples of class 0 lie `distance` standard deviations off in one direction."""
    rng = np.random.default_rng(seed)
    labels = np.arange(CLASSES).repeat(SIZE)
    direction = rng.standard_normal(DIMENSIONS)
    poisoned = np.arange(len(labels)) < POISONED
    features = rng.standard_normal((len(labels), DIMENSIONS)) + 3 * rng.standard_normal((CLASSES, DIMENSIONS))[labels]
    features += distance * poisoned[:, None] * direction / np.linalg.norm(direction)
    return features.astype(np.float32), labels, poisoned


def test_planted_cluster_is_ranked_first(name):
    features, labels, poisoned = drawn(8.0)
    verdict = BASELINES[name].detect(features, labels, float(poisoned.mean()))
    assert verdict.score.dtype == np.float32
    assert (verdict.score.shape, verdict.flagged.shape) == (labels.shape, labels.shape)
    assert verdict.flagged.dtype == np.bool_
    inside = labels == 0
    assert metrics.average_precision(verdict.score[inside], poisoned[inside]) > 0.95
    if name != "art":  # Its scores depend on where a class lies, so that they cannot be compared across classes.
        assert metrics.average_precision(verdict.score, poisoned) > 0.95
        assert metrics.recall(verdict.flagged, poisoned) == 1


def test_nothing_is_ranked_where_nothing_was_planted(name):
    features, labels, poisoned = drawn(0.0)
    score = BASELINES[name].detect(features, labels, float(poisoned.mean())).score
    assert metrics.average_precision(score[labels == 0], poisoned[labels == 0]) < 0.35


def test_published_cuts():
    features, labels, poisoned = drawn(8.0)
    rate = float(poisoned.mean())
    flagged = {name: BASELINES[name].detect(features, labels, rate).flagged for name in BASELINES if name != "art"}
    assert [int(flagged["spectral"][labels == label].sum()) for label in range(CLASSES)] == [60] * CLASSES
    assert flagged["post_training"].sum() == 60
    assert (flagged["spectre"].sum(), flagged["spectre"][labels != 0].sum()) == (60, 0)
    for name in DECIDING:
        assert metrics.precision(flagged[name], poisoned) > 0.95


@pytest.mark.parametrize("name", DECIDING)
def test_classes_without_clusters_are_left_alone(name):
    features, labels, _ = drawn(0.0)
    assert not BASELINES[name].detect(features, labels, 0.01).flagged.any()


@pytest.mark.parametrize("name", DECIDING)
def test_rate_is_not_used(name):
    features, labels, _ = drawn(8.0)
    one, other = (BASELINES[name].detect(features, labels, rate) for rate in (0.01, 0.4))
    np.testing.assert_array_equal(one.score, other.score)
    np.testing.assert_array_equal(one.flagged, other.flagged)


def test_poisoned_digits_are_ranked(name, victim):
    labels, poisoned = victim.given.labels, victim.poisoned
    verdict = BASELINES[name].detect(victim.features, labels, 0.05)
    inside = labels == 0
    chance = poisoned[inside].mean()
    assert metrics.average_precision(verdict.score[inside], poisoned[inside]) > chance + 0.2
    if name != "scan":  # It finds the two groups, but among ten small classes they do not stand out.
        assert metrics.average_precision(verdict.score, poisoned) > 4 * poisoned.mean()


def test_post_training_is_the_papers_preset_without_losses(victim):
    score = svd_scores(torch.from_numpy(victim.features), torch.from_numpy(victim.given.labels)).numpy()
    verdict = post_training.detect(victim.features, victim.given.labels, 0.05)
    np.testing.assert_array_equal(verdict.score, score)
    assert verdict.flagged.sum() == round(1.5 * 0.05 * len(score))
    assert score[verdict.flagged].min() > score[~verdict.flagged].max()


def test_independent_components_would_cluster_alike():
    features = np.random.default_rng(0).uniform(size=(400, 12)).astype(np.float32)
    ours = activation_clustering.reduce(features)
    published = FastICA(10, whiten="unit-variance", tol=1e-3, max_iter=2000, random_state=0).fit_transform(features)
    assert ours.shape == published.shape

    def distances(points):
        return np.linalg.norm(points[:50, None] - points[None, :50], axis=2)

    # Uniform data of 12 directions: both keep ten, and the same ones.
    np.testing.assert_allclose(distances(ours), distances(published), rtol=0.02, atol=0.02)


def test_scan_whitens_by_the_variation_within_classes():
    features, labels, _ = drawn(0.0)
    features[:, 3] *= 10
    whitened = scan.whiten(features, labels)
    within = np.concatenate([whitened[labels == label] - whitened[labels == label].mean(0) for label in range(CLASSES)])
    np.testing.assert_allclose(np.cov(within.T), np.eye(DIMENSIONS), atol=0.02)


def test_scan_index():
    # Distances from the median 3: 2, 1, 0, 1, 97; their median is 1.
    found = scan.anomaly_index(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    assert found == pytest.approx(np.array([-2, -1, 0, 1, 97]) / 1.4826)
    assert round(scan.INDEX, 4) == 7.3891


def test_spectre_whitens_by_the_clean_part():
    features, labels, poisoned = drawn(8.0)
    points = features[labels == 0].astype(float)
    whitened = spectre.robustly_whitened(points, SIZE - 60)
    clean = whitened[~poisoned[labels == 0]]
    # A plain covariance would give the planted direction a third of its true length.
    np.testing.assert_allclose(np.diag(np.cov(clean.T)), 1, atol=0.25)
    assert np.linalg.norm(whitened[:POISONED].mean(0) - clean.mean(0)) > 7


def test_que_score_by_hand():
    # Second moments 3 and 1: weights exp(4) and exp(0).
    points = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 3**0.5], [0.0, -(3**0.5)], [0.0, 0.0], [0.0, 0.0]])
    weight = np.exp(4) / (np.exp(4) + 1)
    assert spectre.que(points) == pytest.approx([9 * weight] * 2 + [3 * (1 - weight)] * 2 + [0, 0])


def test_places_between_two_points():
    points = np.array([[1.0, 1.0], [3.0, 1.0], [2.0, 9.0], [5.0, 1.0]])
    assert between(points, points[0], points[1]).tolist() == [0, 1, 0.5, 2]


def test_classes_of_few_samples_and_dead_units(name):
    features, labels, _ = drawn(8.0)
    features[:, :4] = 0
    features[labels == 5] = 1.5
    keep = np.r_[0 : 4 * SIZE, 4 * SIZE, 5 * SIZE : 5 * SIZE + 2]
    verdict = BASELINES[name].detect(features[keep], labels[keep], 0.05)
    assert np.isfinite(verdict.score).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((4, 2))}, "features must be float32"),
        ({"features": np.zeros(4, np.float32)}, "features must be float32"),
        ({"features": np.zeros((0, 2), np.float32), "labels": np.zeros(0, np.int64)}, "features must be float32"),
        ({"features": np.full((4, 2), np.nan, np.float32)}, "features must be finite"),
        ({"labels": np.zeros(3, np.int64)}, "labels must be int64"),
        ({"labels": np.zeros(4)}, "labels must be int64"),
        ({"rate": 0.0}, "rate must lie between 0 and 0.5"),
        ({"rate": 0.5}, "rate must lie between 0 and 0.5"),
    ],
)
def test_wrong_input_is_refused(name, change, message):
    arguments = {"features": np.ones((4, 2), np.float32), "labels": np.zeros(4, np.int64), "rate": 0.1} | change
    with pytest.raises(ConfigError, match=message):
        BASELINES[name].detect(**arguments)


def test_art_flags_by_the_share_of_each_class():
    features, labels, _ = drawn(8.0)
    flagged = art.detect(features, labels, 0.1).flagged
    assert [int(flagged[labels == label].sum()) for label in range(CLASSES)] == [45] * CLASSES
