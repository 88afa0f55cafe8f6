"""Triggers found in the pixels, for classes that share one and for classes that do not."""

import pytest
import torch

from unpoison.attacks import BadNets, Blend, PoisonedDataset
from unpoison.bench.data import LabelledImages
from unpoison.config import PDAutoRConfig
from unpoison.demo import load_digits
from unpoison.detection.detector import detect
from unpoison.methods.explain import Suspicion, explain
from unpoison.progress import Progress


def explanation(dataset):
    """Detects and explains with the preset "fast"."""
    config = PDAutoRConfig.preset("fast").detection
    seen = LabelledImages.of(dataset)
    common = {"device": torch.device("cpu"), "seed": 0, "progress": Progress(False)}
    detection = detect(seen.images, seen.labels, 10, config, **common)
    return explain(seen.images, seen.labels, Suspicion.of(detection), config.causal_rate, **common)


@pytest.fixture(scope="module")
def first():
    return PoisonedDataset(load_digits(), BadNets(size=2), rate=0.04, target=0, seed=0)


def test_different_triggers_are_explained_apart(first):
    second = PoisonedDataset(first, Blend(), rate=0.04, target=3, seed=5)
    found = explanation(second)
    assert {(*finding.classes, finding.estimate.kind) for finding in found.findings} == {(0, "patch"), (3, "blend")}
    flagged = found.score > 0
    patched = first.poisoned & ~second.poisoned
    assert flagged[patched].mean() > 0.9
    assert flagged[second.poisoned].mean() > 0.9
    assert flagged[~patched & ~second.poisoned].mean() < 0.01


def test_one_trigger_in_two_classes(first):
    second = PoisonedDataset(first, BadNets(size=2), rate=0.04, target=3, seed=5)
    found = explanation(second)
    kinds = {label: finding.estimate.kind for finding in found.findings for label in finding.classes}
    assert kinds == {0: "patch", 3: "patch"}
    poisoned = first.poisoned | second.poisoned
    assert (found.score > 0)[poisoned].mean() > 0.9
    assert (found.score > 0)[~poisoned].mean() < 0.01
