"""Detectors on features as methods: those of the package, registered ones, and those of installed packages."""

import dataclasses
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from unpoison import Detector, DetectorConfig, SanitizedDataset, Verdict, detectors, register_detector
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detectors import ENTRY_POINTS
from unpoison.errors import ConfigError
from unpoison.methods import get_method, list_methods
from unpoison.stages.ask import ordered

FAST = DetectorConfig.preset("fast")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(detectors, "_REGISTERED", {})


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    part = LabelledImages(data.images[:700], data.labels[:700])
    return PoisonedDataset(part, BadNets(size=2), rate=0.06, target=0, seed=0)


def brightest(features, labels, rate):
    """The hundredth with the largest activations."""
    score = features.sum(1)
    return Verdict(score, score > np.quantile(score, 0.99))


def cleaned(dataset, method, **options):
    return SanitizedDataset(dataset, method, **{"config": FAST, "progress": False, "device": "cpu", **options})


@pytest.mark.parametrize("name", detectors.BUILT_IN)
def test_contract(name):
    found = detectors.get_detector(name)
    assert found.name == name
    assert found.source
    method = get_method(name)
    assert (method.name, method.config_class, method.on_poison) == (name, DetectorConfig, "drop")
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((90, 5)).astype(np.float32), np.arange(90) % 3
    verdict = found.detect(features, labels, 0.1)
    assert (verdict.score.dtype, verdict.score.shape) == (np.float32, (90,))
    assert (verdict.flagged.dtype, verdict.flagged.shape) == (np.bool_, (90,))
    assert verdict.flagged.any() or not found.told


def test_a_published_detector_cleans(digits):
    config = dataclasses.replace(FAST, poison_rate=0.06)
    served = cleaned(digits, "post_training", config=config, max_altered=1)
    report = served.report
    assert report.flagged.sum() == round(1.5 * 0.06 * len(digits))
    assert report.flagged[digits.poisoned].mean() > report.flagged[~digits.poisoned].mean()
    assert (report.flagged == (report.score > report.threshold)).all()
    assert len(served) == (~report.flagged).sum()
    assert report.config["method"] == "post_training"
    assert any("without loss trajectories" in note and "told a rate of 0.06" in note for note in report.notes)


def test_scores_become_an_order_in_which_flags_come_first():
    score = ordered(Verdict(np.array([5, 1, 1, 9], np.float32), np.array([False, True, False, True])))
    np.testing.assert_allclose(score, [-0.25, 0.375, -0.625, 1])


def test_own_detector_is_a_method(digits):
    register_detector(Detector(name="brightest", detect=brightest, source="nobody"))
    assert "brightest" in list_methods()
    report = cleaned(digits, "brightest", on_poison="keep").report
    assert report.flagged.sum() == 7
    assert (report.action == "keep").all()


def test_another_version_is_asked_again(digits):
    calls = []

    def counted(*arguments):
        calls.append(1)
        return brightest(*arguments)

    for version in ("1", "1", "2"):
        register_detector(Detector(name="counted", detect=counted, source="nobody", version=version))
        cleaned(digits, "counted").prepare()
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        (None, "must return a Verdict"),
        (Verdict(np.zeros(3, np.float32), np.zeros(3, bool)), r"its score is float32 \[3\]"),
        (Verdict(np.full(700, np.nan, np.float32), np.zeros(700, bool)), "finite score"),
        (Verdict(np.zeros(700, np.float32), np.zeros(700)), "its flagged is float64"),
    ],
)
def test_what_is_no_verdict_is_refused(digits, verdict, message):
    register_detector(Detector(name="broken", detect=lambda *_: verdict, source="nobody"))
    with pytest.raises(ConfigError, match=message):
        cleaned(digits, "broken").prepare()


def test_wrong_registrations():
    with pytest.raises(ConfigError, match="takes a Detector, got function"):
        register_detector(brightest)
    with pytest.raises(ConfigError, match="'scan' is a detector of the package"):
        register_detector(Detector(name="scan", detect=brightest, source="nobody"))
    with pytest.raises(ConfigError, match=r"unknown method 'scam': choose one of .*scan"):
        get_method("scam")
    with pytest.raises(ConfigError, match="unknown backbone"):
        DetectorConfig(backbone="vgg")


EXAMPLE = Path(__file__).parents[2] / "examples" / "detector_package"


def wheel(folder, further):
    """The example as a wheel, with further entry points. It is packed by hand: build tools need not be there."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    (module,) = EXAMPLE.glob("*.py")
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    path, info = folder / f"{stem}-py3-none-any.whl", f"{stem}.dist-info"
    offered = project["entry-points"][ENTRY_POINTS] | further
    entries = "\n".join(f"{name} = {value}" for name, value in offered.items())
    with zipfile.ZipFile(path, "w") as file:
        file.write(module, module.name)
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/entry_points.txt", f"[{ENTRY_POINTS}]\n{entries}\n")
        file.writestr(f"{info}/RECORD", "")
    return path


def test_detector_of_an_installed_package(tmp_path):
    built = wheel(tmp_path, {"other": "unpoison_far:DETECTOR", "gone": "unpoison_far:NOT"})
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(target), str(built)], check=True)
    program = """
from unpoison.detection.config import DetectionConfig
from unpoison.detectors import get_detector
from unpoison.errors import ConfigError
from unpoison.methods import get_method, list_methods
assert {"far", "other", "gone"} <= set(list_methods())
assert get_method("far").source == get_detector("far").source == "an example"
assert DetectionConfig(detectors=("far",)).versions == {"far": "1"}
for name in ("other", "gone"):
    try:
        get_method(name)
    except ConfigError as error:
        print(error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    other, gone = done.stdout.splitlines()
    fix = "): update or uninstall that package"
    assert other == (
        "'other' of unpoison-far (unpoison.detectors) cannot be used (unpoison_far:DETECTOR is no Detector of this name"
        + fix
    )
    assert gone.startswith("'gone' of unpoison-far (unpoison.detectors) cannot be used (module 'unpoison_far' has no")
    assert gone.endswith(fix)
