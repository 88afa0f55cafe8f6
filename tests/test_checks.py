"""Arguments that are none of those that there are: one error, where the object is made, that names them."""

import argparse
import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import corner
from unpoison import BaBConfig, PDAutoRConfig, Restorer, SanitizedDataset, Sanitizer, compare, sanitize
from unpoison.attacks import ISSBA, SIG, AdaptiveBlend, BadNets, Blend, Composite, PoisonedDataset, Refool, WaNet
from unpoison.checks import AnyPath, Positive, Seeds, check, checked
from unpoison.cli import main
from unpoison.cli.options import seed
from unpoison.detection.config import DetectionConfig
from unpoison.errors import ConfigError
from unpoison.hub import push_folder
from unpoison.report import Report
from unpoison.restoration import Card, RestorationConfig
from unpoison.samples import write_samples
from unpoison.training.loop import TrainingConfig
from unpoison.verification.config import VerificationConfig

PAIRS = list(zip(*corner.make_images(), strict=True))
WRONG = {
    "seed": (-1, None, "x", 1.5, True, 2**70, math.nan),
    "device": ("meta", torch.device("meta"), "warp", 3),
    "method": (["corner"], 3, None, {}),
    "restorer": (3, [], "a\0b"),
    "cache_dir": (3, "a\0b", Path("a\0b"), b"x"),
    "config": ({}, 3, [], "", "slow", False),
    "progress": ("foo", 1, "yes"),
    "on_poison": ("burn", 1, ["drop"]),
    "max_altered": ("0.5", True, 0),
    "duplicates": (True, "merge"),
    "on_unreadable": (None, "ignore"),
    "reread": (True, "index"),
    "image": (1.5, True, ["image"]),
    "label": (b"label",),
    "keep": (3, "a.txt", [1.5]),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
@pytest.mark.parametrize("make", [Sanitizer, lambda **options: SanitizedDataset(PAIRS, **options)])
def test_sanitizers(make, name, value):
    with pytest.raises(ConfigError, match=name if name not in ("config", "keep") else None):
        make(**{"method": "corner", name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transform", 3),
        ("target_transform", "x"),
        ("transform", [len]),
        ("transform", ()),
        ("transform", (len, 3)),
        ("align", 1),
        ("align", "yes"),
    ],
)
def test_what_the_wrapper_adds(name, value):
    with pytest.raises(ConfigError, match=name):
        SanitizedDataset(PAIRS, "corner", **{name: value})
    with pytest.raises(ConfigError, match=name):
        SanitizedDataset.from_shards("folder", **{name: value})


def test_a_transform_that_is_set_later():
    for dataset in (SanitizedDataset(PAIRS, "corner"), PoisonedDataset(PAIRS, BadNets(), rate=0.1)):
        with pytest.raises(ConfigError, match="transform=3: give a function"):
            dataset.transform = 3
        dataset.transform = None


@pytest.mark.parametrize(
    "make",
    [
        lambda: BadNets(size=True),
        lambda: BadNets(value=256),
        lambda: BadNets(corner=["top left"]),
        lambda: BadNets(dynamic="no"),
        lambda: Blend(alpha="0.2"),
        lambda: Blend(pattern=[[0]]),
        lambda: Blend(pattern=np.zeros((4, 4, 3))),
        lambda: SIG(delta=math.nan),
        lambda: WaNet(k=1),
        lambda: WaNet(s=math.inf),
        lambda: ISSBA(bits=0),
        lambda: Refool(size=1.5),
        lambda: Composite(sources="01"),
        lambda: Composite(sources=[0, 1.5]),
        lambda: AdaptiveBlend(masked=1),
        *(lambda attack=attack: attack(seed=-1) for attack in (BadNets, Blend, WaNet, ISSBA, Refool, Composite)),
        lambda: PoisonedDataset(PAIRS, "badnets"),
        lambda: PoisonedDataset(PAIRS, BadNets(), rate=True),
        lambda: PoisonedDataset(PAIRS, BadNets(), seed=2**70),
        lambda: PoisonedDataset(PAIRS, BadNets(), target=True),
        lambda: PoisonedDataset(PAIRS, BadNets(), overlap="no"),
    ],
)
def test_attacks(make):
    with pytest.raises(ConfigError):
        make()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: RestorationConfig(width="x"), "width='x'"),
        (lambda: RestorationConfig(learning_rate=math.inf), "learning_rate=inf"),
        (lambda: RestorationConfig(granularities=4), "granularities=4"),
        (lambda: RestorationConfig(residual="no"), "residual='no'"),
        (lambda: VerificationConfig(models=1.5), "models=1.5"),
        (lambda: VerificationConfig(success=0.2), "success=0.2"),
        (lambda: VerificationConfig(training=3), "training=3"),
        (lambda: PDAutoRConfig(detection=3), "detection=3"),
        (lambda: DetectionConfig(loss_weight="x"), "loss_weight='x'"),
        (lambda: DetectionConfig(training=3), "training=3"),
        (lambda: TrainingConfig(flip=2), "flip=2"),
        (lambda: BaBConfig(verification=3), "verification=3"),
        (lambda: PDAutoRConfig.preset(["fast"]), "unknown preset"),
        (lambda: Card(attacks="BadNets"), "attacks='BadNets'"),
        (lambda: dataclasses.replace(RestorationConfig(), batch_size=0), "batch_size=0"),
    ],
)
def test_configurations(make, name):
    with pytest.raises(ConfigError, match=name):
        make()


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_functions(tmp_path, cache):
    report = SanitizedDataset(PAIRS, "corner", align=True).report
    nul = "a\0b"
    for call in (
        lambda: sanitize(3, num_proc=0),
        lambda: sanitize(3, split=None),
        lambda: compare(PAIRS, PAIRS, PAIRS, seeds=[-1]),
        lambda: compare(PAIRS, PAIRS, PAIRS, seeds=3),
        lambda: compare(PAIRS, PAIRS, PAIRS, train=3),
        lambda: compare(PAIRS, PAIRS, PAIRS, attack="badnets"),
        lambda: compare(PAIRS, PAIRS, PAIRS, target=1.5),
        lambda: compare(PAIRS, PAIRS, PAIRS, device="meta"),
        lambda: compare(PAIRS, PAIRS, PAIRS, progress="foo"),
        lambda: Sanitizer("corner").export(PAIRS, nul),
        lambda: SanitizedDataset.from_shards(nul),
        lambda: SanitizedDataset.from_shards("user/name", revision=3),
        lambda: Restorer.from_pretrained(3),
        lambda: Restorer.from_pretrained(nul),
        lambda: push_folder(nul, "user/name", message=""),
        lambda: push_folder(tmp_path, 3, message=""),
        lambda: push_folder(tmp_path, "user/name", "space", message=""),
        lambda: push_folder(tmp_path, "user/name", private="no", message=""),
        lambda: report.to_html(nul),
        lambda: report.save(3),
        lambda: Report.load(nul),
        lambda: report.samples(3),
        lambda: report.with_status("bad"),
        lambda: write_samples(3, tmp_path / "a.csv"),
        lambda: write_samples(report.samples(), nul),
    ):
        with pytest.raises(ConfigError):
            call()
    assert list(tmp_path.iterdir()) == [cache]


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "True", str(2**70), ""])
def test_seeds_of_the_command_line(value, capsys):
    with pytest.raises(argparse.ArgumentTypeError, match="no whole number"):
        seed(value)
    with pytest.raises(SystemExit) as caught:
        main(["attack", "a", "b", "--attack", "sig", f"--seed={value}"])
    assert caught.value.code == 2
    assert "--seed" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--device", "meta"], ["--max-altered", "nan"], ["--preset", ""]])
def test_command_line(option, tmp_path, capsys):
    assert main(["clean", str(tmp_path), str(tmp_path / "out"), *option]) == 2
    assert capsys.readouterr().err.startswith("unpoison: ")


def test_numbers_of_numpy_are_numbers():
    @checked
    def f(count: Positive, share: float = 0.5, *rest, flag: bool = False, **others):
        return count, share, rest, flag, others

    assert f(np.int64(3), np.float32(0.25), "a", flag=np.bool_(True), more=None) == (
        3,
        0.25,
        ("a",),
        True,
        {"more": None},
    )
    assert type(f(np.int64(3))[0]) is int
    assert check("seeds", np.arange(3), Seeds) == [0, 1, 2]
    assert check("path", Path("a"), AnyPath) == Path("a")
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        BadNets(colour=3)
    assert f.__wrapped__(0)[0] == 0


def test_the_wrapper_alone():
    """Annotations are found without the help of other modules."""
    code = "from unpoison import SanitizedDataset; SanitizedDataset([], device='meta')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ConfigError: device='meta'" in found.stderr
