"""What is reused when something else is asked of the same images."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import corner
import twostep
from restorers import make_restorer
from unpoison import FeatureSource, SanitizedDataset, Sanitizer, features
from unpoison.config import with_features
from unpoison.context import Context
from unpoison.methods import get_method
from unpoison.restoration import RestorationConfig
from unpoison.stages import Artefact
from unpoison.stages.features import with_features as with_source
from unpoison.stages.restore import Treatment
from unpoison.triggers import Patch, registry

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
FIRST, SECOND, LAST = corner.POISONED


@pytest.fixture(autouse=True)
def calls():
    twostep.CALLS.clear()
    return twostep.CALLS


def fit(pairs, **options):
    return Sanitizer("twostep", **options).fit(pairs)


def reused(report):
    """What a report says was reused."""
    [note] = [note for note in report.notes if note.startswith("reused from an earlier run: ")]
    return re.findall(r"(?:: |, )([a-z ]+) \(\d+ s\)", note)


@pytest.mark.parametrize(
    "change",
    [
        {"on_poison": "drop"},
        {"on_poison": "keep"},
        {"keep": [FIRST]},
        {"max_altered": 0.1},
        {"on_poison": "drop", "duplicates": "drop"},
        {"config": twostep.TwoStepConfig(restoration=RestorationConfig(max_pull=9))},
        {"restorer": make_restorer()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_detection_is_not_repeated(change, pairs, calls):
    first = fit(pairs)
    assert not any("reused" in note for note in first.notes)
    again = fit(pairs, **change)
    assert calls == ["find", "finish", "finish"]
    assert reused(again) == ["which images are copies", "what was detected"]
    np.testing.assert_array_equal(first.score, again.score)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"config": twostep.TwoStepConfig(searching=1)}], ids=["seed", "config"]
)
def test_what_decides_about_detection_repeats_it(change, pairs, calls):
    fit(pairs)
    fit(pairs, **change)
    assert calls == ["find", "finish"] * 2


def test_other_precision_repeats_detection(pairs, calls, monkeypatch):
    fit(pairs)
    monkeypatch.setattr("unpoison.stages.keys.precision_of", lambda device: "bf16")
    fit(pairs)
    assert calls == ["find", "finish"] * 2


def test_another_kind_of_trigger_repeats_detection(pairs, calls, monkeypatch):
    class Other(Patch):
        kind = "other"

    fit(pairs)
    monkeypatch.setattr(registry, "_KINDS", {**registry._KINDS, "other": Other})
    fit(pairs)
    assert calls == ["find", "finish"] * 2


def test_results_are_those_of_a_run_from_the_start(pairs, tmp_path):
    for options in ({"on_poison": "drop"}, {"keep": [SECOND]}, {}):
        fit(pairs, **options)
        later = fit(pairs, **options)
        alone = fit(pairs, cache_dir=tmp_path / str(options), **options)
        for name in ("score", "flagged", "kind", "action", "label", "quality"):
            np.testing.assert_array_equal(getattr(later, name), getattr(alone, name))


def test_same_pixels_in_another_dataset_share_everything(pairs, images_and_labels, calls):
    images, labels = images_and_labels
    first = fit(pairs)
    arrays = [(image, int(label) * 5 + 2) for image, label in zip(images, labels, strict=True)]
    served = SanitizedDataset(arrays, "twostep")
    assert reused(served.report) == ["which images are copies", "what was detected", "what was restored"]
    assert calls == ["find", "finish"]
    assert set(served.targets) == {2, 7, 12}
    np.testing.assert_array_equal(served.report.action, first.action)
    np.testing.assert_array_equal(served[FIRST][0], corner.repaired(images)[FIRST])
    assert set(served.report.timings) == {"read", "store", "shards"}
    images[5, 4, 4] ^= 1
    fit([(image, int(label)) for image, label in zip(images, labels, strict=True)])
    assert calls == ["find", "finish"] * 2


@pytest.mark.parametrize("method", ["corner", "twostep"])
def test_of_a_class_no_more_than_asked_is_altered(method, pairs, images_and_labels, calls):
    """Three of the ten images of class 0 are flagged."""
    named = [(image, ("cat", "dog", "ship")[label]) for image, label in pairs]
    served = SanitizedDataset(named, method, max_altered=0.29).prepare()
    report = served.report
    assert [entry.size for entry in report.classes] == [10, 7, 7]
    assert not report.flagged.any()
    assert set(report.kind) == {""}
    assert set(report.action) == {"keep"}
    np.testing.assert_array_equal(report.label, report.original_label)
    assert [entry.status for entry in report.classes] == ["needs a look", "clean", "clean"]
    assert "classes that need a look: 0" in report.summary()
    assert (
        "class cat needs a look: 3 of its 10 images (30 %) were flagged, more than max_altered=0.29 allows; nothing in "
        "it was changed. Look at them (report.score), or pass max_altered=1"
    ) in report.notes
    assert (report.score[list(corner.POISONED)] > report.threshold).all()
    for position, (image, _) in enumerate(pairs):
        np.testing.assert_array_equal(np.array(served[position][0]), np.array(image))
    exact = SanitizedDataset(named, method, max_altered=0.3).report
    assert np.flatnonzero(exact.flagged).tolist() == list(corner.POISONED)
    assert "needs a look" not in {entry.status for entry in exact.classes}
    assert exact.config["max_altered"] == 0.3
    kept = SanitizedDataset(named, method, max_altered=0.2, keep=[LAST]).report
    assert np.flatnonzero(kept.flagged).tolist() == [FIRST, SECOND]
    assert calls.count("find") == (1 if method == "twostep" else 0)


def test_limit_that_changes_nothing_decides_nothing_again(pairs, calls):
    fit(pairs)
    fit(pairs, max_altered=1)
    assert calls == ["find", "finish"]


def test_limit_stays_what_it_is_in_the_cache(pairs):
    assert fit(pairs, max_altered=0.1).flagged.sum() == 0
    assert fit(pairs, max_altered=1).flagged.sum() == 3
    again = fit(pairs, max_altered=0.1)
    assert again.flagged.sum() == 0
    assert again.with_status("needs a look") == [0]


@pytest.mark.parametrize("method", ["corner", "twostep"])
def test_keep(method, pairs, images_and_labels, cache):
    served = SanitizedDataset(pairs, method, keep=[LAST, 1]).prepare()
    report = served.report
    assert np.flatnonzero(report.flagged).tolist() == [FIRST, SECOND]
    assert report.action[LAST] == report.action[1] == "keep"
    assert report.label[LAST] == report.original_label[LAST]
    assert report.quality[LAST] == 1
    assert report.kind[LAST] == ""
    place = served.source_index.tolist().index(LAST)
    np.testing.assert_array_equal(np.array(served[place][0]), images_and_labels[0][LAST])
    # The method drops the last one that it flags.
    assert len(served) == 23
    if method == "corner":
        assert report.notes[-1] == "kept as they are, as asked: 1 suspicious image"
        restored = SanitizedDataset(pairs, method, keep=[SECOND])
        assert np.flatnonzero(restored.report.action == "restore").tolist() == [FIRST]
        np.testing.assert_array_equal(np.array(restored[FIRST][0]), corner.repaired(images_and_labels[0])[FIRST])


def test_keeping_what_is_not_flagged_changes_nothing(pairs, calls):
    first, second = fit(pairs), fit(pairs, keep=[0, 1])
    assert calls == ["find", "finish"]
    np.testing.assert_array_equal(first.action, second.action)


def test_interrupted_between_the_steps(pairs, calls, monkeypatch, cache):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("corner.restore_corners", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(pairs)
    assert (
        "keeps the working copy of the images, which images are copies, what was detected: run"
        in caught.value.__notes__[0]
    )
    monkeypatch.undo()
    monkeypatch.setenv("UNPOISON_CACHE", str(cache))
    fit(pairs)
    assert calls == ["find", "finish", "finish"]
    assert not list(cache.rglob("*.tmp"))


def test_stages_of_the_methods(monkeypatch):
    """The stages of the methods, in their order."""

    class Noting:
        def __init__(self):
            self.asked = []

        def run(self, stage, inputs, config, context):
            assert isinstance(config, stage.config_class)
            self.asked.append((stage.name, *inputs))
            return Artefact(Path(stage.name), stage.name)

    def stages_of(name, on_poison, source=None):
        info, executor = get_method(name), Noting()
        config = info.preset("fast")
        if source is not None:
            config = with_features(config, source)
        inputs = with_source({"store": Artefact(Path("store"), "0")}, config, executor, Context())
        inputs["found"] = info.find(inputs, config, executor, Context())
        info.finish(inputs, Treatment(on_poison=on_poison, restoration=config.restoration), executor, Context())
        return executor.asked

    learn, restore = ("learn", "store"), ("restore", "store", "found")
    pdautor = [learn, ("detect", "store", "learned"), ("explain", "store", "learned", "detected")]
    bab = [("verify", "store"), ("decide", "store", "answers")]
    assert stages_of("pdautor", "drop") == [*pdautor, restore]
    monkeypatch.setattr(features, "_REGISTERED", {})
    source = FeatureSource(name="pixels", load=torch.nn.Identity, source="nobody")
    assert stages_of("pdautor", "restore", source) == [
        ("features", "store"), learn, ("detect", "store", "features", "learned"), pdautor[2],
        ("classify", "store", "features", "found"), (*restore, "classifier"),
    ]  # fmt: skip
    assert stages_of("bab", "restore") == [*bab, ("classify", "store", "found"), (*restore, "classifier")]
    assert stages_of("ensemble", "keep") == [*pdautor, *bab, ("combine", "store", "pdautor", "bab"), restore]
    assert stages_of("scan", "drop") == [learn, ("ask", "store", "learned"), restore]
