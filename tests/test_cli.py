"""The command line: exit codes, streams, and every kind of source."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import corner  # noqa: F401 (registers the method)
from restorers import make_restorer
from unpoison import Report, SanitizedDataset, Sanitizer
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.bench.data import LabelledImages
from unpoison.bench.evaluate import Downstream
from unpoison.cli import main
from unpoison.demo import DemoResult, load_digits

COUNT = 1200


@pytest.fixture(scope="module")
def poisoned():
    """1,200 digits, 60 of them poisoned."""
    digits = load_digits()
    return PoisonedDataset(
        LabelledImages(digits.images[:COUNT], digits.labels[:COUNT]), BadNets(size=2), rate=0.05, target=0
    )


@pytest.fixture(scope="module")
def folder(poisoned, tmp_path_factory):
    """One sub-folder of PNG files per class."""
    root = tmp_path_factory.mktemp("images")
    for number, (image, label) in enumerate(poisoned):
        (root / f"digit{label}").mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(root / f"digit{label}" / f"{number:04d}.png")
    return root


@pytest.fixture
def clean_fast(capfd):
    """Runs `unpoison clean ... --preset fast --json`; returns what it printed on both streams."""

    def call(source, out, *arguments):
        code = main(["clean", str(source), str(out), "--preset", "fast", "--device", "cpu", "--json", *arguments])
        printed, errors = capfd.readouterr()
        assert code == 0, errors
        return json.loads(printed), errors

    return call


def members(out):
    names = []
    for path in sorted(out.glob("shard-*.tar")):
        with tarfile.open(path) as tar:
            names += tar.getnames()
    return names


def check(facts, out):
    """What the command says is what lies in the folder."""
    report = Report.load(out)
    assert facts["out"] == str(out)
    assert facts["samples"] == len(report) == COUNT
    assert facts["flagged"] == report.flagged.sum()
    assert facts["keep"] + facts["restore"] + facts["drop"] == COUNT
    assert facts["poisoned_classes"] == [entry.label for entry in report.classes if entry.poisoned]
    assert sum(name.endswith(".cls") for name in members(out)) == COUNT - facts["drop"]


def test_clean_a_folder_of_images(folder, clean_fast, tmp_path):
    facts, errors = clean_fast(folder, tmp_path / "out")
    check(facts, tmp_path / "out")
    assert facts["poisoned_classes"] == [0]
    assert 45 <= facts["flagged"] <= 75
    # Progress goes to stderr, in percent.
    assert "train on suspect data: 100%" in errors


def test_clean_a_parquet_file(poisoned, clean_fast, tmp_path):
    import datasets

    images = [Image.fromarray(image[..., 0]) for image, _ in poisoned]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)})
    table = datasets.Dataset.from_dict({"image": images, "label": poisoned.targets}, features=features)
    table.to_parquet(tmp_path / "train.parquet")
    facts, _ = clean_fast(tmp_path / "train.parquet", tmp_path / "out", "--on-poison", "drop", "--quiet")
    check(facts, tmp_path / "out")
    assert facts["drop"] == facts["flagged"] > 0
    flagged = Report.load(tmp_path / "out").flagged
    assert flagged[poisoned.poisoned].mean() > 0.7


def test_clean_shards(folder, clean_fast, tmp_path):
    """The output of one run is a source of the next."""
    clean_fast(folder, tmp_path / "first", "--on-poison", "keep", "--quiet")
    facts, _ = clean_fast(tmp_path / "first" / "shard-00000.tar", tmp_path / "second", "--on-poison", "keep", "--quiet")
    check(facts, tmp_path / "second")
    first, second = (Report.load(tmp_path / name) for name in ("first", "second"))
    np.testing.assert_array_equal(first.original_label, second.original_label)


def test_quiet_text(folder, tmp_path, capfd):
    arguments = ["clean", str(folder), str(tmp_path / "out"), "--preset", "fast", "--on-poison", "keep"]
    assert main([*arguments, "--quiet"]) == 0
    printed, errors = capfd.readouterr()
    assert errors == ""
    assert f"of {COUNT} samples flagged" in printed
    assert printed.strip().endswith(f"shards and report: {tmp_path / 'out'}")


def one_line(capfd):
    printed, errors = capfd.readouterr()
    assert printed == ""
    lines = errors.strip().splitlines()
    assert len(lines) == 1, errors
    assert lines[0].startswith("unpoison: ")
    return lines[0]


def test_unknown_source(tmp_path, capfd):
    assert main(["clean", str(tmp_path / "nowhere"), str(tmp_path / "out"), "--quiet"]) == 1
    assert "neither a path nor a torchvision dataset" in one_line(capfd)
    assert not (tmp_path / "out").exists()


def test_folder_without_classes(tmp_path, capfd):
    (tmp_path / "photos").mkdir()
    assert main(["clean", str(tmp_path / "photos"), str(tmp_path / "out"), "--quiet"]) == 1
    assert "into a sub-folder" in one_line(capfd)


@pytest.mark.parametrize("name", ["broken.parquet", "broken.tar"])
def test_damaged_file(tmp_path, capfd, name):
    (tmp_path / name).write_bytes(b"this is no such file" * 100)
    assert main(["clean", str(tmp_path / name), str(tmp_path / "out"), "--quiet"]) == 1
    # The reader may log a line of its own before.
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("unpoison: ")
    assert name in last


def test_missing_torchvision_dataset(tmp_path, capfd):
    assert main(["clean", "CIFAR10", str(tmp_path / "out"), "--root", str(tmp_path), "--quiet"]) == 1
    assert "CIFAR10" in one_line(capfd)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "slow"], "unknown preset 'slow': choose one of default, paper, fast"),
        (["--method", "magic"], "unknown method 'magic': choose one of"),
        (["--device", "gpu9"], "device 'gpu9' cannot be used"),
    ],
)
def test_wrong_settings(folder, tmp_path, capfd, arguments, message):
    assert main(["clean", str(folder), str(tmp_path / "out"), "--quiet", *arguments]) == 2
    assert message in one_line(capfd)


@pytest.mark.parametrize(
    "arguments", [[], ["frobnicate"], ["clean"], ["clean", "a"], ["clean", "a", "b", "--on-poison", "eat"]]
)
def test_wrong_usage(arguments, capfd):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: unpoison" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_push_and_pull_a_restorer(hub, tmp_path, capfd):
    make_restorer().save_pretrained(tmp_path / "r")
    assert main(["push", str(tmp_path / "r"), "user/name", "--private", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["kind"] == "model"
    assert hub.repository("user/name").private
    assert main(["pull", "user/name", str(tmp_path / "again")]) == 0
    assert "user/name@" in capfd.readouterr().out
    weights = [(tmp_path / folder / "model.safetensors").read_bytes() for folder in ("r", "again")]
    assert weights[0] == weights[1]
    assert main(["pull", "user/gone", str(tmp_path / "gone")]) == 1
    assert "no such model" in one_line(capfd)
    assert not (tmp_path / "gone").exists()
    (tmp_path / "photos").mkdir()
    assert main(["push", str(tmp_path / "photos"), "user/photos"]) == 1
    assert "cannot read" in one_line(capfd)
    assert ("models", "user/photos") not in hub.repositories


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning", "ignore::unpoison.errors.ThinEvidenceWarning")
def test_push_a_cleaned_set(hub, pairs, tmp_path, capfd):
    Sanitizer("corner").export(pairs, tmp_path / "cleaned")
    assert main(["push", str(tmp_path / "cleaned"), "user/set", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["kind"] == "dataset"
    assert len(SanitizedDataset.from_shards("user/set")) == 23
    shard = tmp_path / "cleaned" / "shard-00000.tar"
    shard.write_bytes(shard.read_bytes()[:1000])
    assert main(["push", str(tmp_path / "cleaned"), "user/damaged"]) == 1
    assert "get it anew" in one_line(capfd)
    assert ("datasets", "user/damaged") not in hub.repositories


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["push", "--help"], ["pull", "--help"], ["demo", "--help"], ["clean", "--help"], ["--version"]],
)
def test_help(arguments, capfd):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "unpoison" in capfd.readouterr().out


@pytest.fixture
def demo_result(monkeypatch, tmp_path):
    result = DemoResult(
        samples=10, poisoned=3, found=2, false_alarms=1, restored=2, dropped=1, before=Downstream(0.9, 0.8),
        after=Downstream(0.9, 0.1), report=Path("r"), shards=Path("s"),
    )  # fmt: skip
    calls = []

    def fake(out, **settings):
        calls.append((out, settings))
        return result

    monkeypatch.setattr("unpoison.demo.run_demo", fake)
    return result, calls


def test_demo(demo_result, tmp_path, capfd):
    result, calls = demo_result
    assert main(["demo", "--out", str(tmp_path / "there"), "--seed", "3", "--device", "cpu", "--quiet"]) == 0
    assert capfd.readouterr().out == result.as_text() + "\n"
    assert calls == [(tmp_path / "there", {"device": "cpu", "seed": 3, "progress": False})]


def test_demo_as_json(demo_result, capfd):
    assert main(["demo", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["after"] == {"accuracy": 0.9, "attack_success_rate": 0.1}
