"""Whether cleaning helped, measured on data that nobody cleaned."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from unpoison import compare
from unpoison.attacks import ISSBA, BadNets, PoisonedDataset
from unpoison.cli import main
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detection import config as detection
from unpoison.errors import ConfigError, DatasetError

ATTACK = BadNets(size=3)


@pytest.fixture(scope="module")
def digits():
    """Poisoned training images, the same without the poisoned ones, and test images."""
    all_digits = load_digits()
    train, test = (LabelledImages(all_digits.images[part], all_digits.labels[part]) for part in np.split(ORDER, [1300]))
    poisoned = PoisonedDataset(train, ATTACK, rate=0.1, target=3)
    kept = ~poisoned.poisoned
    return poisoned, LabelledImages(train.images[kept], train.labels[kept]), test


ORDER = np.random.default_rng(0).permutation(1797)


PARTS = ((np.arange(30), 0), (np.flatnonzero(np.arange(30) % 3), 1))


def save(dataset, folder):
    """One sub-folder of PNG files per class."""
    for number, (image, label) in enumerate(dataset):
        (folder / f"digit{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"digit{label}" / f"{number:04d}.png")
    return str(folder)


def nearest_neighbour(calls):
    def train(dataset, seed):
        calls.append((dataset, seed))
        items = [dataset[index] for index in range(len(dataset))]
        model = KNeighborsClassifier(1).fit([image.ravel() for image, _ in items], [label for _, label in items])
        return lambda images: model.predict(images.reshape(len(images), -1))

    return train


def test_poison_shows_and_its_removal_too(digits, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(detection, "DEFAULT", detection.FAST)
    folders = [save(data, tmp_path / name) for data, name in zip(digits, ("raw", "clean", "test"), strict=True)]
    options = ["--trigger", "badnets", "--target", "3", "--seed", "0", "--device", "cpu", "--quiet"]
    assert main(["compare", *folders[:2], "--test", folders[2], *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seeds"] == [0]
    assert found["before"]["accuracy"][0] > 0.9 < found["after"]["accuracy"][0]
    assert found["before"]["asr"][0] > 0.8
    assert found["after"]["asr"][0] < 0.1


def test_own_classifier(digits):
    before, after, test = digits
    calls = []
    found = compare(before, after, test, train=nearest_neighbour(calls), attack=ATTACK, target=3, seeds=(4, 7))
    assert calls == [(before, 4), (before, 7), (after, 4), (after, 7)]
    assert found.before.asr[0] > 0.8 > 0.1 > found.after.asr[0]
    assert found.before.asr[0] == found.before.asr[1]
    text = found.as_text()
    assert f"{100 * found.after.accuracy[0]:.1f} ± 0.0 %" in text
    assert "attack success rate" in text
    assert "for 0 of 2 seeds" in text or "for 2 of 2 seeds" in text
    without = compare(before, after, test, train=nearest_neighbour([]), seeds=(0,))
    assert without.after.asr == []
    assert "attack success rate" not in without.as_text()


def test_classes_with_names_are_matched_by_name():
    names = np.array(["cat", "dog", "owl"])
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), np.uint8)

    def rows(order):
        return [(images[i], str(names[i % 3])) for i in range(30) if i % 3 in order]

    seen = []

    def train(dataset, seed):
        return lambda batch: (
            seen.append(len(batch)) or np.array([np.flatnonzero((images == x).all((1, 2, 3)))[0] % 3 for x in batch])
        )

    found = compare(rows([0, 1, 2]), rows([0, 1, 2]), rows([1, 2]), train=train, seeds=(0,))
    assert (found.before.accuracy, seen) == ([1.0], [20, 20])
    # Numbers that another folder gives to the same names mean the same classes.
    before, test = (LabelledImages(images[part], np.arange(30)[part] % 3 - less) for part, less in PARTS)
    before.classes, test.classes = names.tolist(), names[1:].tolist()
    assert compare(before, before, test, train=train, seeds=(0,)).before.accuracy == [1.0]
    with pytest.raises(DatasetError, match="owl"):
        compare(rows([0, 1]), rows([0, 1]), rows([1, 2]), train=train)


def test_own_classifier_sees_images_of_their_own_size():
    images = np.random.default_rng(0).integers(0, 256, (8, 100, 80, 3), np.uint8)
    items = [(image, number % 2) for number, image in enumerate(images)]

    def train(dataset, seed):
        return lambda batch: pytest.fail("scaled") if batch.shape != images.shape else np.arange(8) % 2

    assert compare(items, items, items, train=train, seeds=(0,)).after.accuracy == [1.0]


def test_a_network_numbers_classes_without_gaps(monkeypatch):
    """Class numbers may be large: networks have no output for each number below them."""
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), np.uint8)
    large = np.array([4, 2**53 + 1, 2**53 + 2])
    data = LabelledImages(images, large[np.arange(30) % 3])
    seen = []

    def train_model(given, num_classes, *_, **__):
        seen.append((sorted(set(given.labels.tolist())), num_classes))

    monkeypatch.setattr("unpoison.improvement.choose", lambda *_: SimpleNamespace(training=0, backbone="", width=1))
    monkeypatch.setattr("unpoison.improvement.train_model", train_model)
    monkeypatch.setattr("unpoison.improvement.predictions", lambda *_: lambda batch: np.arange(len(batch)) % 3)
    assert compare(data, data, data, seeds=(0,)).after.accuracy == [1.0]
    assert seen == [([0, 1, 2], 3)] * 2


def test_mistakes(digits):
    with pytest.raises(ConfigError, match="at least one"):
        compare(*digits, seeds=())
    with pytest.raises(ConfigError, match="fit it"):
        compare(*digits, attack=ISSBA())
    few = LabelledImages(digits[1].images[digits[1].labels < 5], digits[1].labels[digits[1].labels < 5])
    with pytest.raises(DatasetError, match=r"classes \[5, 6, 7, 8, 9\]"):
        compare(few, few, digits[2])


def test_unknown_trigger(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["compare", "a", "b", "--test", "c", "--trigger", "magic"])
    assert caught.value.code == 2
    assert "badnets" in capsys.readouterr().err
