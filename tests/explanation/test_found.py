"""What was found, as files."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import corner
import twostep
from listed import relist
from unpoison.context import Context
from unpoison.data.checksums import publishing_checked, write_sums
from unpoison.detection.choice import Choice
from unpoison.detection.verifier import Verifier
from unpoison.errors import CacheError, DamagedError
from unpoison.explanation.found import Found
from unpoison.explanation.verdict import Explanation, Finding
from unpoison.restoration.classifier import Classifier
from unpoison.training.loop import TrainingConfig
from unpoison.triggers import Patch, Warp

CPU = torch.device("cpu")
CHOICE = Choice("conv5", 2, TrainingConfig(epochs=1, batch_size=8), ["because"])


@pytest.fixture
def found(images_and_labels):
    images, labels = images_and_labels
    flagged = np.arange(24) < 6
    warp, patch = Warp((8, 8, 3)), Patch((8, 8, 3))
    warp.warp.flow.normal_()
    patch.shift.normal_()
    findings = [
        Finding(classes=[0, 2], members=flagged & (labels == 0), trigger=warp),
        Finding(classes=[1], members=flagged & (labels == 1), trigger=None),
        Finding(classes=[0], members=flagged & (labels == 2), trigger=patch),
    ]
    score = np.linspace(-3, 3, 24, dtype=np.float32)
    kind = np.where(flagged, "backdoor", "mislabelled")
    return twostep.make_found(
        images, labels, explanation=Explanation(score=score, kind=kind, findings=findings), threshold=0.1 + 0.2,
        choice=CHOICE, votes=np.eye(24, 3, dtype=bool),
    )  # fmt: skip


def save(found, folder):
    found.save(folder)
    write_sums(folder, [path.name for path in folder.iterdir()])


def test_what_is_saved_comes_back(found, images_and_labels, tmp_path):
    save(found, tmp_path)
    again = Found.load(tmp_path, CPU)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz", ".safetensors", ""}
    for name in ("threshold", "classes", "choice", "notes"):
        assert getattr(again, name) == getattr(found, name)
    for name in ("score", "kind"):
        np.testing.assert_array_equal(getattr(again.explanation, name), getattr(found.explanation, name))
    np.testing.assert_array_equal(again.votes, found.votes)
    for one, other in zip(again.explanation.findings, found.explanation.findings, strict=True):
        assert one.classes == other.classes
        np.testing.assert_array_equal(one.members, other.members)
        assert (one.trigger is None) == (other.trigger is None)
        if one.trigger is not None:
            assert (one.trigger.kind, one.trigger.shape) == (other.trigger.kind, other.trigger.shape)
            assert all(torch.equal(a, b) for a, b in zip(one.trigger.buffers(), other.trigger.buffers(), strict=True))
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(again.model(images), found.model.eval()(images))


@pytest.mark.parametrize("changes", [{"votes": None, "choice": None}, {}])
def test_optional_parts(changes, images_and_labels, tmp_path):
    images, labels = images_and_labels
    nothing = Explanation(score=np.zeros(24, np.float32), kind=np.full(24, "backdoor"), findings=[])
    save(twostep.make_found(images, labels, explanation=nothing, **changes), tmp_path)
    again = Found.load(tmp_path, CPU)
    assert again.votes is None
    assert again.choice is None
    assert again.explanation.findings == []


@pytest.mark.parametrize("name", ["found.json", "found.npz", "model.safetensors", "triggers.safetensors"])
def test_damage_is_one_error(name, found, tmp_path):
    save(found, tmp_path)
    path = tmp_path / name
    for data in (path.read_bytes()[:60], json.dumps({"threshold": 1}).encode()):
        path.write_bytes(data)
        with pytest.raises(CacheError, match=f"{name} is .* not the one that SHA256SUMS lists"):
            Found.load(tmp_path, CPU)
        with pytest.raises(CacheError, match=f"{name} is .*: delete its folder and clean again"):
            Found.load(relist(tmp_path), CPU)
    path.unlink()
    with pytest.raises(CacheError, match="No such file"):
        Found.load(tmp_path, CPU)


def trained(images_and_labels, found, flagged):
    images, labels = images_and_labels
    return Classifier.trained(images, labels, 3, flagged, found, Context())


def test_classifier_round_trip(found, images_and_labels, tmp_path):
    with publishing_checked(tmp_path / "C") as folder:
        first = trained(images_and_labels, found, np.arange(24) < 3)
        first.save(folder)
    again = Classifier.load(tmp_path / "C", CPU)
    assert again.choice == CHOICE
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(first.model.eval()(images), again.model(images))
    (tmp_path / "C" / "choice.json").write_text("{}")
    with pytest.raises(DamagedError):
        Classifier.load(tmp_path / "C", CPU)


@pytest.mark.parametrize(("learned", "expected"), [(0, "goes on"), (1, "goes on"), (5, "anew")])
def test_classifier_goes_on_from_a_verifier_unless_that_has_learned_the_poison(
    found, images_and_labels, monkeypatch, learned, expected
):
    flagged = np.arange(24) < 10
    calls, module = [], "unpoison.restoration.classifier"
    monkeypatch.setattr(f"{module}.go_on", lambda *arguments: calls.append("goes on") or found.model)
    monkeypatch.setattr(f"{module}.train_classifier", lambda *arguments: calls.append("anew") or found.model)
    mask = torch.from_numpy(~flagged)
    mask[:learned] = True
    found = dataclasses.replace(found, verifier=Verifier(found.model, mask))
    trained(images_and_labels, found, flagged)
    assert calls == [expected]


def test_images_are_those_of_the_tests(images_and_labels):
    found = twostep.make_found(*images_and_labels)
    assert np.flatnonzero(found.flagged).tolist() == list(corner.POISONED)
