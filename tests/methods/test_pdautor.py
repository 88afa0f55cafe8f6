"""PD-AutoR end to end, on images that need no download, and on photographs where there are any."""

import dataclasses
import os

import numpy as np
import pytest
import torch

from on_arrays import cleaned
from unpoison import PDAutoRConfig, SanitizedDataset
from unpoison.attacks import BadNets, Composite, PoisonedDataset
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.downstream import train_and_test
from unpoison.metrics import average_precision
from unpoison.training.loop import TrainingConfig
from unpoison_bench.data import load_images
from unpoison_bench.false_alarms.listing import get_case
from unpoison_bench.false_alarms.loading import load

pytestmark = pytest.mark.usefixtures("fewer_references")
CPU = torch.device("cpu")
ATTACK = BadNets(size=2)
PRESETS = ("fast", "default")


@dataclasses.dataclass(frozen=True)
class Case:
    """A poisoned training set and clean test images."""

    clean: LabelledImages
    images: np.ndarray
    labels: np.ndarray
    poisoned: np.ndarray
    test: LabelledImages


def clean(case, config, on_poison="restore", restorer=None):
    """Runs the method on what `case` offers as training data."""
    return cleaned(case.images, case.labels, "pdautor", config, on_poison, restorer)


@pytest.fixture(scope="module")
def digits():
    """1,347 digits, 67 of them with a white corner and labelled 0."""
    data = load_digits()
    order = np.random.default_rng(1).permutation(len(data.labels))
    train, test = (LabelledImages(data.images[part], data.labels[part]) for part in (order[450:], order[:450]))
    poisoned = PoisonedDataset(train, ATTACK, rate=0.05, target=0, seed=1)
    seen = LabelledImages.of(poisoned)
    return Case(train, seen.images, seen.labels, poisoned.poisoned, test)


@pytest.fixture(scope="module", params=PRESETS)
def outcome(request, digits, fewer_references):
    return clean(digits, PDAutoRConfig.preset(request.param))


def served(case, outcome):
    """What a training script would see."""
    images = case.images.copy()
    images[outcome.restored_index] = outcome.restored_images
    kept = outcome.report.action != "drop"
    return LabelledImages(images[kept], outcome.report.label[kept])


def test_most_poison_is_found(digits, outcome):
    flagged = outcome.report.flagged
    assert flagged[digits.poisoned].mean() > 0.9
    assert flagged[~digits.poisoned].mean() < 0.01


def test_report_says_why(digits, outcome):
    report = outcome.report
    assert [entry.label for entry in report.classes if entry.poisoned] == [0]
    assert (report.flagged == (report.score > report.threshold)).all()
    assert (report.kind[report.flagged] == "backdoor").mean() > 0.9
    assert (report.kind[~report.flagged] == "").all()
    assert any("trigger of kind patch" in note for note in report.notes)
    assert report.config["seed"] == 0
    assert {"train on suspect data", "restore"} <= set(report.timings)
    np.testing.assert_array_equal(report.original_label, digits.labels)


def test_restored_images_come_closer_to_the_originals(digits, outcome):
    index, restored = outcome.restored_index, outcome.restored_images
    assert restored.dtype == np.uint8
    truly = digits.poisoned[index]
    assert truly.sum() > 0.6 * digits.poisoned.sum()
    original, before = digits.clean.images[index].astype(float), digits.images[index].astype(float)
    changed = original != before
    error, nothing = np.abs(restored - original)[changed], np.abs(before - original)[changed]
    assert error.mean() < 0.4 * nothing.mean()
    # The rest of the picture stays.
    assert np.abs(restored - original)[truly][~changed[truly]].mean() < 4


def test_labels_are_restored(digits, outcome):
    report = outcome.report
    index = outcome.restored_index[digits.poisoned[outcome.restored_index]]
    assert len(index) > 0
    assert (report.label[index] == digits.clean.labels[index]).mean() > 0.9
    assert (report.action[outcome.restored_index] == "restore").all()
    assert (report.label[report.action == "drop"] == -1).all()
    np.testing.assert_array_equal(report.reason != "", report.action == "drop")
    assert ((report.quality >= 0) & (report.quality <= 1)).all()
    kept = report.action == "keep"
    np.testing.assert_array_equal(report.label[kept], digits.labels[kept])


def retrained(digits, data):
    training = TrainingConfig(epochs=10, batch_size=32)
    return train_and_test(data, digits.test, [ATTACK], 0, training, width=8, device=CPU)


@pytest.fixture(scope="module")
def before(digits):
    """What a model does that was trained on the digits as they came."""
    return retrained(digits, LabelledImages(digits.images, digits.labels))


def test_retrained_model_obeys_no_trigger(digits, before, outcome):
    after = retrained(digits, served(digits, outcome))
    assert before.attack_success_rate > 0.8
    assert after.attack_success_rate < 0.1
    assert after.accuracy > before.accuracy - 0.03


@pytest.mark.parametrize(("preset", "part"), [("fast", 0), ("fast", 1), ("default", 0)])
def test_clean_data_stays_as_it_is(digits, preset, part):
    whole = load_digits()
    images, labels = (array[part * 400 : part * 400 + 1397] for array in (whole.images, whole.labels))
    case = dataclasses.replace(digits, images=images, labels=labels)
    report = clean(case, PDAutoRConfig.preset(preset)).report
    assert report.flagged.mean() < 0.003
    assert (report.action == "keep").mean() > 0.997


def test_unlearned_poison_comes_first_among_the_unflagged(digits):
    labels = digits.clean.labels.copy()
    wrong = np.zeros(len(labels), bool)
    wrong[np.random.default_rng(0).permutation(len(labels))[:20]] = True
    labels[wrong] = (labels[wrong] + 1) % 10
    case = dataclasses.replace(digits, images=digits.clean.images, labels=labels)
    report = clean(case, PDAutoRConfig.preset("fast"), "keep").report
    assert report.flagged.mean() < 0.02
    # By log-ratios within the classes it would be below .1.
    assert average_precision(report.score, wrong) > 0.5


@pytest.mark.parametrize("on_poison", ["drop", "keep"])
def test_on_poison(digits, on_poison):
    outcome = clean(digits, PDAutoRConfig.preset("fast"), on_poison)
    report = outcome.report
    assert report.flagged.any()
    assert (report.action[report.flagged] == on_poison).all()
    assert (report.action[~report.flagged] == "keep").all()
    wanted = np.where(report.flagged & (on_poison == "drop"), -1, digits.labels)
    np.testing.assert_array_equal(report.label, wanted)
    assert len(outcome.restored_index) == len(outcome.restored_images) == 0
    assert outcome.restorer is None


def test_same_seed_same_scores(digits):
    config = PDAutoRConfig.preset("fast")
    part = dataclasses.replace(digits, images=digits.images[:500], labels=digits.labels[:500])
    first, second = (clean(part, config, "keep").report for _ in range(2))
    np.testing.assert_array_equal(first.score, second.score)


def test_papers_own_algorithm(digits):
    paper = PDAutoRConfig.preset("paper")
    training = dataclasses.replace(paper.detection.training, epochs=8, batch_size=32, flip=False)
    detection = dataclasses.replace(paper.detection, backbone="resnet9", width=8, training=training, poison_rate=0.05)
    restoration = dataclasses.replace(
        paper.restoration, cyclegan_epochs=1, cyclegan_max_steps=3, batch_size=8, width=8, transformer_depth=1
    )
    outcome = clean(digits, PDAutoRConfig(detection=detection, restoration=restoration))
    report = outcome.report
    # 1.5 ε N samples, by their projection on the top singular vector.
    assert report.flagged.sum() == round(1.5 * 0.05 * len(digits.labels))
    assert report.flagged[digits.poisoned].mean() > 2 * report.flagged[~digits.poisoned].mean()
    assert report.config["detection"]["outliers"] == "svd"
    assert set(report.action[report.flagged]) <= {"restore", "drop"}
    assert outcome.restored_images.shape == (len(outcome.restored_index), *digits.images.shape[1:])
    assert outcome.restorer is not None


def test_given_restorer_is_the_start_and_stays_as_it_is(digits, outcome):
    before = {name: value.clone() for name, value in outcome.restorer.state_dict().items()}
    again = clean(digits, PDAutoRConfig.preset("fast"), restorer=outcome.restorer)
    assert again.restorer.architecture == outcome.restorer.architecture
    assert all(torch.equal(value, before[name]) for name, value in outcome.restorer.state_dict().items())
    assert any("the given restorer is" in note for note in again.report.notes)
    assert len(again.restored_index) > 0


def test_what_is_done_with_flagged_samples_changes_without_training(digits, tmp_path):
    given = LabelledImages(digits.images, digits.labels)

    def report(**options):
        cleaned = SanitizedDataset(given, config="fast", cache_dir=tmp_path, device=CPU, progress=False, **options)
        return cleaned.prepare().report

    first = report()
    spared = np.flatnonzero(first.flagged)[:3].tolist()
    dropped, kept = report(on_poison="drop"), report(keep=spared)
    for again in (dropped, kept):
        assert not {"train on suspect data", "verify", "explain"} & again.timings.keys()
        np.testing.assert_array_equal(again.score, first.score)
    np.testing.assert_array_equal(dropped.flagged, first.flagged)
    assert (dropped.action[first.flagged] == "drop").all()
    assert not kept.flagged[spared].any()
    assert kept.flagged.sum() == first.flagged.sum() - 3


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_photographs():
    data = load_images("cifar10", "train", per_class=150)
    poisoned = PoisonedDataset(data, BadNets(), rate=0.05, target=0)
    seen = LabelledImages.of(poisoned)
    case = Case(data, seen.images, seen.labels, poisoned.poisoned, data)
    flagged = clean(case, PDAutoRConfig.preset("fast"), "drop").report.flagged
    assert flagged[case.poisoned].mean() > 0.8
    assert flagged[~case.poisoned].mean() < 0.02


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_joined_photographs():
    data = load_images("cifar10", "train", per_class=150)
    poisoned = PoisonedDataset(data, Composite(sources=(1, 2)), rate=0.04, target=0)
    seen = LabelledImages.of(poisoned)
    case = Case(data, seen.images, seen.labels, poisoned.poisoned, data)
    report = clean(case, PDAutoRConfig.preset("fast"), "drop").report
    assert report.flagged[case.poisoned].mean() > 0.8
    assert report.flagged[~case.poisoned & (seen.labels == 0)].mean() < 0.08


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_few_photographs_of_few_classes_stay_as_they_are():
    # Red cars resemble each other, and 45 birds are one grey placeholder.
    data = load(get_case("cifar10-flat-grey")).given
    report = clean(Case(data, data.images, data.labels, None, data), PDAutoRConfig.preset("fast")).report
    assert not report.flagged.any()
