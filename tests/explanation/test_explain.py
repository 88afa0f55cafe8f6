"""Triggers found in the pixels, for classes that share one and for classes that do not."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from unpoison.attacks import SIG, BadNets, Blend, PoisonedDataset
from unpoison.config import PDAutoRConfig
from unpoison.context import Context
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detection.choice import Choice
from unpoison.detection.detector import detect
from unpoison.detection.patterns import PixelCluster
from unpoison.detection.verifier import Verifier
from unpoison.explanation.explain import explain
from unpoison.explanation.fit import Group, trigger_odds
from unpoison.explanation.verdict import Suspicion
from unpoison.training.backbones import Backbone, create_backbone
from unpoison.training.loop import TrainingConfig
from unpoison.triggers import Patch
from unpoison_bench.data import load_images

pytestmark = pytest.mark.usefixtures("fewer_references")
CHOICE = Choice("conv5", 8, TrainingConfig(epochs=4), [])


def explanation(dataset):
    """Detects and explains with the preset "fast"."""
    config = PDAutoRConfig.preset("fast").detection
    seen = LabelledImages.of(dataset)
    detection = detect(seen.images, seen.labels, 10, config, Context())
    return explain(seen.images, seen.labels, Suspicion.of(detection, seen.labels), config.causal_rate, Context())


def explanation_of(given, seen, flagged, content=None, model=None, doubt=None, activations=None, suspects=None):
    """Explains flags of class 0 that a detector could have raised, with what its verifiers say about the content."""
    network = create_backbone("conv5", 3, 10, 8)
    content = given.clean_label if content is None else content
    suspicion = Suspicion(
        score=np.where(flagged, 4, -4).astype(np.float32),
        kind=np.full(len(seen), "backdoor"),
        gated=[0] if flagged.any() else [],
        suspects=suspects or {},
        probabilities=np.eye(10, dtype=np.float32)[content],
        content=np.zeros(len(seen), np.float32),
        doubt=doubt,
        activations=activations,
        model=model or network,
        verifier=Verifier(network, torch.arange(len(seen)) % 3 > 0),
        choice=CHOICE,
    )
    return explain(seen.images, seen.labels, suspicion, 0.1, Context())


def obedient(attack):
    """A model that says 0 where it sees the trigger, and 1 elsewhere."""
    return resembling(attack.stamp(np.zeros((1, 32, 32, 3), np.float32))[0] / 255, 0, 10)


def resembling(pattern, label, num_classes):
    """A model that says `label` of images like a pattern, float32 [32,32,3] in 0..1, and the next class of others."""
    # Networks see values in -2..2.
    values = 4 * torch.from_numpy(pattern).permute(2, 0, 1).flatten()
    model = Backbone(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 1, bias=False)), 1, num_classes, (0, 0, 1))
    with torch.no_grad():
        model.body[1].weight.copy_(values / values.square().sum())
        model.head.weight.zero_()
        model.head.bias.fill_(-9)
        model.head.weight[label], model.head.bias[label], model.head.bias[label + 1] = 1, 0, 0.5
    return model


@pytest.fixture(scope="module")
def first():
    return PoisonedDataset(load_digits(), BadNets(size=2), rate=0.04, target=0, seed=0)


def test_different_triggers_are_explained_apart(first):
    second = PoisonedDataset(first, Blend(), rate=0.04, target=3, seed=5)
    found = explanation(second)
    assert {(*finding.classes, finding.trigger.kind) for finding in found.findings} == {(0, "patch"), (3, "blend")}
    flagged = found.score > 0
    patched = first.poisoned & ~second.poisoned
    assert flagged[patched].mean() > 0.9
    assert flagged[second.poisoned].mean() > 0.9
    assert flagged[~patched & ~second.poisoned].mean() < 0.01


def test_one_trigger_in_two_classes(first):
    second = PoisonedDataset(first, BadNets(size=2), rate=0.04, target=3, seed=5)
    found = explanation(second)
    kinds = {label: finding.trigger.kind for finding in found.findings for label in finding.classes}
    assert kinds == {0: "patch", 3: "patch"}
    poisoned = first.poisoned | second.poisoned
    assert (found.score > 0)[poisoned].mean() > 0.9
    assert (found.score > 0)[~poisoned].mean() < 0.01


@pytest.mark.usefixtures("unpatterned")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_two_triggers_in_one_class():
    given = PoisonedDataset(load_images("cifar10", "train", per_class=200), [BadNets(), Blend()], rate=0.05)
    seen = LabelledImages.of(given)
    found = explanation_of(given, seen, given.poisoned)
    members = {finding.trigger.kind: finding.members for finding in found.findings}
    assert members.keys() == {"patch", "blend"}
    assert not (members["patch"] & members["blend"]).any()
    white = (seen.images[:, -3:, -3:] > 245).all((1, 2, 3))
    assert white[members["patch"]].mean() > 0.95
    assert ((found.score > 0) == given.poisoned).mean() > 0.99


@pytest.mark.usefixtures("unpatterned")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_patch_that_moves():
    given = PoisonedDataset(load_images("cifar10", "train", per_class=200), BadNets(dynamic=True), rate=0.05)
    seen = LabelledImages.of(given)
    missed = given.poisoned & (np.arange(len(seen)) % 2 == 0)
    found = explanation_of(given, seen, given.poisoned & ~missed)
    assert [finding.trigger.kind for finding in found.findings] == ["moving patch"]
    flagged = found.score > 0
    assert flagged[missed].mean() > 0.85
    assert flagged[~given.poisoned].mean() < 0.015


@pytest.mark.usefixtures("unpatterned")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_wrong_half_of_a_class():
    given = PoisonedDataset(load_images("cifar10", "train", per_class=200), SIG(), rate=0.05)
    seen = LabelledImages.of(given)
    found = explanation_of(given, seen, (seen.labels == 0) & ~given.poisoned)
    assert [finding.trigger.kind for finding in found.findings] == ["periodic"]
    assert ((found.score > 0) == given.poisoned).mean() > 0.99


@pytest.mark.usefixtures("unpatterned")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_content_that_is_mistaken_does_not_become_part_of_the_trigger():
    given = PoisonedDataset(load_images("cifar10", "train", per_class=500), SIG(), rate=0.01, seed=1)
    seen = LabelledImages.of(given)
    content = np.where(given.poisoned, 1 + np.arange(len(seen)) % 9, seen.labels)
    none, suspects = np.zeros_like(given.poisoned), {0: given.poisoned}
    [finding] = explanation_of(given, seen, none, content, obedient(SIG()), suspects=suspects).findings
    x, true = (
        torch.from_numpy(images[given.poisoned]).permute(0, 3, 1, 2) / 255
        for images in (seen.images, given.dataset.images)
    )
    error, nothing = (float((images - true).abs().mean()) for images in (finding.trigger.invert(x), x))
    assert error < 0.2 * nothing


@pytest.mark.usefixtures("unpatterned")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
@pytest.mark.parametrize("obeyed", [True, False])
def test_half_of_a_class_whose_content_is_misjudged(obeyed):
    given = PoisonedDataset(load_images("cifar10", "train", per_class=200), SIG(), rate=0.05)
    seen = LabelledImages.of(given)
    # A verifier that learned only the poison of the class finds its clean images everywhere else, and takes some even
    # grounds for the class.
    content = np.where((seen.labels == 0) & ~given.poisoned, 1 + np.arange(len(seen)) % 9, seen.labels)
    content[np.argsort(seen.images.std((1, 2, 3)))[:40]] = 0
    found = explanation_of(given, seen, given.poisoned, content, obedient(SIG()) if obeyed else None)
    if obeyed:
        assert [finding.trigger.kind for finding in found.findings] == ["periodic"]
        assert ((found.score > 0) == given.poisoned).mean() > 0.99
    else:
        assert [finding.trigger for finding in found.findings] == [None]


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with GTSRB")
def test_what_the_signs_of_a_class_share_is_no_trigger():
    signs = load_images("gtsrb", "train", per_class=60)
    own = signs.labels == 1
    wrong = np.isin(np.arange(len(own)), np.random.default_rng(0).permutation(np.flatnonzero(~own))[:60])
    network = create_backbone("conv5", 3, 43, 8)
    suspicion = Suspicion(
        score=np.where(wrong, 4, -4).astype(np.float32),
        kind=np.full(len(own), "mislabelled"),
        gated=[1],
        suspects={1: own},
        probabilities=np.eye(43, dtype=np.float32)[signs.labels],
        content=np.zeros(len(own), np.float32),
        doubt=None,
        activations=None,
        model=resembling((signs.images[own].mean(0) - signs.images[~own].mean(0)).astype(np.float32) / 255, 1, 43),
        verifier=Verifier(network, torch.ones(len(own), dtype=torch.bool)),
        choice=CHOICE,
    )
    labels = np.where(wrong, 1, signs.labels)
    found = explain(signs.images, labels, suspicion, 0.1, Context())
    assert ((found.score > 0) == wrong).all()


def doubt_about(poisoned):
    """What is believed least: half of the poison, and clean samples among it."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=len(poisoned)) + np.where(poisoned, 2.5, 0)).astype(np.float32)


@pytest.mark.usefixtures("unpatterned", "one_class_searched")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
@pytest.mark.parametrize(
    ("attack", "target", "rate", "kind"),
    [(Blend(), 0, 0.03, "blend"), (BadNets(), "all-to-all", 0.06, "patch")],
)
def test_poison_that_forms_no_group_is_found_among_the_doubted(attack, target, rate, kind):
    given = PoisonedDataset(load_images("cifar10", "train", per_class=100), attack, rate=rate, target=target)
    seen = LabelledImages.of(given)
    found = explanation_of(given, seen, np.zeros(len(seen), bool), doubt=doubt_about(given.poisoned))
    assert [finding.trigger.kind for finding in found.findings] == [kind]
    flagged = found.score > 0
    assert (found.findings[0].members == flagged).all()
    assert flagged[given.poisoned].mean() > 0.9
    assert flagged[~given.poisoned].mean() < 0.01


@pytest.mark.usefixtures("unpatterned", "one_class_searched")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_second_attack_is_found_among_the_doubted():
    given = PoisonedDataset(load_images("cifar10", "train", per_class=100), [BadNets(), Blend()], rate=0.08)
    seen = LabelledImages.of(given)
    patched = given.poisoned & (seen.images[:, -3:, -3:] > 245).all((1, 2, 3))
    found = explanation_of(given, seen, patched, doubt=doubt_about(given.poisoned))
    assert [finding.trigger.kind for finding in found.findings] == ["patch", "blend"]
    assert ((found.score > 0) == given.poisoned).mean() > 0.99


@pytest.mark.usefixtures("unpatterned")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
@pytest.mark.parametrize("obeyed", [True, False])
def test_second_attack_that_was_learned_is_found_in_what_is_left_of_the_class(obeyed):
    # The pixels alone may set the second attack apart, too, whether it was learned or not.
    top_left = BadNets(corner="top left")
    given = PoisonedDataset(load_images("cifar10", "train", per_class=200), [BadNets(), top_left], rate=0.05)
    seen = LabelledImages.of(given)
    first = given.poisoned & (seen.images[:, -3:, -3:] > 245).all((1, 2, 3))
    second = given.poisoned & ~first
    activations = torch.from_numpy(np.random.default_rng(0).normal(size=(len(seen), 8)) + 12 * second[:, None])
    model = obedient(top_left) if obeyed else None
    found = explanation_of(given, seen, first, model=model, activations=activations.float())
    flagged = found.score > 0
    assert flagged[first].mean() > 0.95
    assert flagged[second].mean() > 0.95 if obeyed else not flagged[second].any()
    assert flagged[~given.poisoned].mean() < 0.01
    assert len(found.findings) == 1 + obeyed


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_either_side_of_a_class_that_its_pixels_split_evenly(monkeypatch):
    given = PoisonedDataset(load_images("cifar10", "train", per_class=200), Blend(), rate=0.06)
    seen = LabelledImages.of(given)
    own = np.flatnonzero((seen.labels == 0) & ~given.poisoned)
    half = np.isin(np.arange(len(seen)), own[: (seen.labels == 0).sum() // 2])
    monkeypatch.setattr(
        "unpoison.explanation.explain.pixel_clusters", lambda *_: [PixelCluster(label=0, inside=half, clarity=6.0)]
    )
    found = explanation_of(given, seen, np.zeros(len(seen), bool), model=obedient(Blend()))
    assert [finding.trigger.kind for finding in found.findings] == ["blend"]
    assert ((found.score > 0) == given.poisoned).mean() > 0.99


@pytest.mark.usefixtures("one_class_searched")
@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA names no folder with CIFAR-10")
def test_a_pattern_on_images_with_right_labels_is_no_attack():
    given = PoisonedDataset(load_images("cifar10", "train", per_class=100), Blend(), rate=0.03)
    seen = LabelledImages.of(given)
    nobody, doubt = np.zeros(len(seen), bool), doubt_about(given.poisoned)
    found = explanation_of(given, seen, nobody, content=seen.labels, doubt=doubt)
    assert not found.findings
    assert not (found.score > 0).any()


def test_of_many_classes_those_are_searched_whose_most_doubted_samples_are_doubted_most(monkeypatch):
    labels = np.arange(400) % 4
    searched = []
    monkeypatch.setattr("unpoison.explanation.explain.SEARCHED", 2)
    monkeypatch.setattr(
        "unpoison.explanation.explain.fit_trigger",
        lambda group, *_: searched.append(np.unique(labels[group.inside]).tolist()),
    )
    seen = LabelledImages(np.zeros((400, 8, 8, 1), np.uint8), labels)
    doubt = np.array([0, 1, 0.9, 0.2], np.float32)[labels]
    # Few doubted samples say less than many.
    doubt[3], doubt[labels == 0] = 9, -1
    explanation_of(None, seen, np.zeros(400, bool), content=labels, doubt=doubt)
    assert searched == [[1], [2], [0, 1, 2, 3]]


@pytest.mark.parametrize(("share", "flagged"), [(0.6, True), (0.04, False)])
def test_patch_that_does_not_stand_out_is_judged_by_how_many_carry_it(share, flagged):
    trigger = Patch((8, 8, 1))
    corner = torch.zeros(1, 8, 8)
    corner[:, 6:, 6:] = 1
    trigger.set(scale=1 - corner, shift=corner, tolerance=torch.tensor(0.02), contrast=torch.tensor([0.1, 0.2]))
    images = np.full((101, 8, 8, 1), 90, np.uint8)
    images[: round(100 * share), 6:, 6:] = 255
    images[100] = 250
    nobody, nothing = np.zeros(101, bool), np.zeros(101, np.float32)
    group = Group(images, ~nobody, nobody, nothing - 9, nothing, np.ones((101, 1), np.float32))
    score = trigger_odds(trigger, group, np.arange(101))
    assert (score[:100] > 0).tolist() == [number < 100 * share for number in range(100)]
    assert (score[100] > 0) == flagged


def test_patch_that_does_not_stand_out_is_judged_by_the_content_of_those_that_carry_it():
    trigger = Patch((8, 8, 1))
    corner = torch.zeros(1, 8, 8)
    corner[:, 6:, 6:] = 1
    trigger.set(scale=1 - corner, shift=corner, tolerance=torch.tensor(0.02), contrast=torch.tensor([0.1, 0.2]))
    images = np.full((1002, 8, 8, 1), 90, np.uint8)
    images[:100, 6:, 6:] = 255
    images[1000:] = 250
    nobody, nothing = np.zeros(1002, bool), np.zeros(1002, np.float32)

    def flags(content):
        group = Group(images, ~nobody, nobody, nothing - 9, content, np.ones((1002, 1), np.float32))
        return (trigger_odds(trigger, group, np.arange(1002)) > 0)[1000:].tolist()

    content = np.where(np.arange(1002) < 100, 6, -6).astype(np.float32)
    content[1000] = 6
    assert flags(content) == [True, False]
    # The verifier is as sure of two thirds of the clean images.
    content[100:700] = 6
    assert flags(content) == [False, False]


@pytest.mark.parametrize("wrong_labels", [True, False])
def test_pattern_that_no_network_has_learned_is_judged_by_the_content_below_it(wrong_labels):
    # Three classes that differ in brightness; 40 images of class 0 share a pattern.
    rng = np.random.default_rng(0)
    content = np.repeat(np.arange(3), 200)
    images = rng.normal(np.array([60, 125, 190])[content][:, None, None, None], 8, (600, 4, 4, 3))
    images = (images.repeat(5, 1).repeat(5, 2) + rng.normal(0, 10, (600, 20, 20, 3))).clip(0, 255)
    chosen = rng.choice(np.flatnonzero(content != 0) if wrong_labels else np.flatnonzero(content == 0), 40, False)
    images[chosen] = 0.8 * images[chosen] + 0.2 * rng.integers(0, 256, images.shape[1:])
    labels = content.copy()
    labels[chosen] = 0
    seen = LabelledImages(images.round().astype(np.uint8), labels)
    found = explanation_of(None, seen, np.zeros(600, bool), content=content)
    flagged = found.score > 0
    if wrong_labels:
        assert [finding.classes for finding in found.findings] == [[0]]
        assert flagged[chosen].mean() > 0.9
        assert flagged.sum() <= len(chosen)
    else:
        assert not flagged.any()
