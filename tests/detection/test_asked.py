"""Detectors on features that have a say in the default."""

import dataclasses

import numpy as np
import pytest
import torch

from unpoison import Detector, PDAutoRConfig, SanitizedDataset, Verdict, detectors, register_detector
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detection.asked import splits_of
from unpoison.detection.config import DetectionConfig
from unpoison.detection.features import TrainingRecord
from unpoison.detection.hypotheses import needed_evidence, weigh
from unpoison.errors import ConfigError

FAST = PDAutoRConfig.preset("fast")
N, FOREIGN = 400, 60


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(detectors, "_REGISTERED", {})


def asking(flagged):
    """Settings that ask a detector which flags these samples."""
    flagged = np.asarray(flagged)
    register_detector(
        Detector(name="known", detect=lambda *_: Verdict(flagged.astype(np.float32), flagged), source="nobody")
    )
    return DetectionConfig(detectors=("known",))


def split_of_class_0(flagged):
    """From two classes, of which the first has a cluster of its own at its beginning."""
    features = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
    features[:FOREIGN, 0] += 6
    labels = torch.arange(N) // (N // 2)
    record = TrainingRecord(features, torch.zeros(N, 3))
    members = [labels == label for label in (0, 1)]
    return splits_of(record, features, labels, members, asking(flagged))["known"][0]


def test_what_is_flagged_counts_as_far_as_it_is_a_cluster():
    found = split_of_class_0(np.arange(N) < FOREIGN)
    assert (found.log_ratio > 0).tolist() == [n < FOREIGN for n in range(N // 2)]
    assert found.separation > 5
    # Two thirds of the cluster are enough to start from, and a few others are no harm.
    found = split_of_class_0((np.arange(N) >= 20) & (np.arange(N) < FOREIGN + 10))
    assert (found.log_ratio > 0).tolist() == [n < FOREIGN for n in range(N // 2)]


def test_detectors_are_compared_with_what_they_say_of_other_classes():
    split = split_of_class_0(np.arange(N) < FOREIGN)
    probabilities = torch.eye(4)[torch.arange(N // 2) % 4]
    usual = {"cluster": 0.1, "known": 0.5}
    found = [
        [
            weigh(split._replace(separation=1 + label * spread), source, probabilities, label)
            for source, spread in usual.items()
        ]
        for label in range(4)
    ]
    for needed in needed_evidence(found, DetectionConfig()):
        assert needed["known"] > needed["cluster"] > 0


def test_an_honest_dataset_comes_back_unharmed_whatever_a_detector_flags():
    data = load_digits()
    asking(np.random.default_rng(0).random(len(data)) < 0.1)
    config = dataclasses.replace(FAST, detection=dataclasses.replace(FAST.detection, detectors=("known",)))
    report = SanitizedDataset(data, config=config, progress=False, device="cpu").prepare().report
    assert not report.flagged.any()


def test_another_version_is_asked_again(tmp_path):
    digits, calls = load_digits(), []
    data = LabelledImages(digits.images[:700], digits.labels[:700])

    def detect(features, labels, rate):
        calls.append(rate)
        return Verdict(np.zeros(len(labels), np.float32), np.zeros(len(labels), bool))

    for version in ("1", "1", "2"):
        register_detector(Detector(name="counted", detect=detect, source="nobody", version=version))
        detection = dataclasses.replace(FAST.detection, detectors=("counted",), poison_rate=0.03)
        config = dataclasses.replace(FAST, detection=detection)
        served = SanitizedDataset(data, config=config, cache_dir=tmp_path, progress=False, device="cpu").prepare()
    assert calls == [0.03, 0.03]
    assert any("reused" in note and "what was learned" in note for note in served.report.notes)


def test_who_cannot_be_asked():
    with pytest.raises(ConfigError, match=r"unknown detector 'scam': choose from .*scan"):
        DetectionConfig(detectors=("scam",))
    with pytest.raises(ConfigError, match="asks no detectors"):
        DetectionConfig(detectors=("scan",), outliers="svd")
