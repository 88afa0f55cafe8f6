"""Features that the user gives: arrays, functions, sources and names, and what is none of them."""

import dataclasses

import numpy as np
import pytest
import torch

from unpoison import FeatureSource, PDAutoRConfig, SanitizedDataset, Sanitizer, features
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.cli import main
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.errors import ConfigError
from unpoison.stages.features import load
from unpoison.stages.given import Given

COUNT = 1200


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(features, "_REGISTERED", {})


@pytest.fixture(scope="module")
def poisoned():
    digits = load_digits()
    part = LabelledImages(digits.images[:COUNT], digits.labels[:COUNT])
    return PoisonedDataset(part, BadNets(size=2), rate=0.06, target=0, seed=0)


@pytest.fixture(scope="module")
def rows(poisoned):
    """What somebody may know of the images who has seen better ones: float32 [N,64], without the patch."""
    return poisoned.dataset.images.reshape(COUNT, -1).astype(np.float32) / 255


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One for all: what M learned is the same for all of them."""
    return tmp_path_factory.mktemp("cache")


def cleaned(data, given, cache):
    return SanitizedDataset(
        data, config="fast", features=given, cache_dir=cache, device="cpu", progress=False
    ).prepare()  # fmt: skip


class Pixels(torch.nn.Module):
    def forward(self, images):
        return images.flatten(1)


class Function:
    """The features are the pixels, times a factor; notes how many images it is asked about."""

    def __init__(self, factor=1.0):
        self.factor, self.asked = factor, 0

    def __call__(self, images):
        assert images.dtype == np.uint8
        assert images.shape[1:] == (8, 8, 3)
        self.asked += len(images)
        return images.reshape(len(images), -1).astype(np.float32) * self.factor


def found(report, poisoned):
    """Whether most of the poison was found, hardly anything else, and most labels put right."""
    restored = (report.action == "restore") & poisoned.poisoned
    return (
        report.flagged[poisoned.poisoned].mean() > 0.9
        and report.flagged[~poisoned.poisoned].mean() < 0.01
        and (report.label[restored] == poisoned.dataset.labels[restored]).mean() > 0.7
    )


def test_an_array_says_what_images_show_as_they_came(poisoned, rows, cache):
    report = cleaned(poisoned, rows, cache).report
    assert found(report, poisoned)
    assert any("a linear classifier on 64 frozen features that were given" in note for note in report.notes)
    folders = set(cache.glob("runs/*"))
    assert cleaned(poisoned, torch.from_numpy(rows), cache).report.notes == report.notes
    assert set(cache.glob("runs/*")) == folders
    again = cleaned(poisoned, np.roll(rows, 1, 0), cache).report
    assert any("reused" in note and "what was learned" in note for note in again.notes)
    assert len(list(cache.glob("runs/*"))) == len(folders) + 1


def test_a_function_is_asked_about_restored_images_too(poisoned, cache):
    function = Function()
    report = cleaned(poisoned, function, cache).report
    assert found(report, poisoned)
    assert report.config["detection"]["features"] == f"{__name__}.Function"
    assert function.asked > COUNT
    again = Function()
    assert cleaned(poisoned, again, cache).report.notes == report.notes
    assert again.asked < 10  # only whether it is the same
    other = Function(0.5)
    cleaned(poisoned, other, cache)
    assert other.asked > COUNT


def test_a_source_or_its_name(poisoned, cache):
    source = FeatureSource(name="pixels", load=Pixels, source="nobody")
    report = cleaned(poisoned, source, cache).report
    assert report.config["detection"]["features"] == "pixels"
    assert cleaned(poisoned, "pixels", cache).report.notes == report.notes


def test_rows_of_what_cannot_be_read_are_left_out(rows, tmp_path):
    given = Given(None, rows)
    left = np.delete(np.arange(COUNT), 7)
    artefact = given.kept_in(tmp_path, left)["features"]
    assert np.array_equal(load(artefact.folder, torch.device("cpu")).numpy(), rows[left])
    assert artefact.key not in given.digests.values()
    assert given.kept_in(tmp_path, left)["features"] == artefact


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((5, 2, 2), np.float32), r"of shape \[5, 2, 2\] and type float32: an array must be float32 \[N,D\]"),
        (np.zeros(5, np.float32), r"of shape \[5\] and type float32"),
        (np.zeros((5, 0), np.float32), r"of shape \[5, 0\]"),
        (np.zeros((5, 2), np.int64), r"of shape \[5, 2\] and type int64"),
        (np.array([["a"]]), "type <U1"),
        (np.array([[0, 1], [np.nan, 0]], np.float32), "not finite in row 1"),
        (np.array([[np.inf, 1]]), "not finite in row 0"),
        (np.full((1, 1), 1e300), "not finite in row 0"),
        (Pixels(), "features=Pixels: give the name of a source, a FeatureSource, a function"),
        (3, "features=int: give the name of a source"),
        ("dino", "unknown features 'dino'"),
    ],
)
def test_what_are_no_features(given, said):
    with pytest.raises(ConfigError, match=said):
        Sanitizer(features=given)


def test_features_of_another_dataset_are_refused_before_anything_is_read(poisoned, rows, tmp_path):
    with pytest.raises(ConfigError, match="features= has 1199 rows, the dataset 1200 items: give a row for each"):
        cleaned(poisoned, rows[1:], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_function_that_gives_something_else(poisoned, tmp_path):
    with pytest.raises(ConfigError, match=r"must be finite and of shape \[\d+,D\]"):
        cleaned(poisoned, lambda images: np.zeros((len(images), 2, 2)), tmp_path)


def test_where_features_say_nothing(rows):
    for method in ("bab", "spectral"):
        with pytest.raises(ConfigError, match="features= is for pdautor and ensemble"):
            Sanitizer(method, features=rows)
    with pytest.raises(ConfigError, match="a preset other than paper"):
        Sanitizer(config="paper", features=rows)
    features.register_features(FeatureSource(name="pixels", load=Pixels, source="nobody"))
    fast = PDAutoRConfig.preset("fast")
    config = dataclasses.replace(fast, detection=dataclasses.replace(fast.detection, features="pixels"))
    with pytest.raises(ConfigError, match="are one setting: leave one of them out"):
        Sanitizer(config=config, features=rows)
    assert Sanitizer("ensemble", features="pixels").config.pdautor.detection.features == "pixels"


def test_the_command_takes_names(tmp_path, capfd):
    (tmp_path / "photos").mkdir()
    assert main(["clean", str(tmp_path / "photos"), str(tmp_path / "out"), "--features", "dino"]) == 2
    assert "unknown features 'dino'" in capfd.readouterr().err
