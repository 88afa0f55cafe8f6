"""Digits as the commands find them, and what they print."""

import json

import pytest
from PIL import Image

from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.cli import main
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits

COUNT = 1200


@pytest.fixture(scope="session")
def poisoned():
    """1,200 digits, 60 of them poisoned."""
    digits = load_digits()
    return PoisonedDataset(
        LabelledImages(digits.images[:COUNT], digits.labels[:COUNT]), BadNets(size=2), rate=0.05, target=0
    )


@pytest.fixture(scope="session")
def folder(poisoned, tmp_path_factory):
    """One sub-folder of PNG files per class."""
    root = tmp_path_factory.mktemp("images")
    for number, (image, label) in enumerate(poisoned):
        (root / f"digit{label}").mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(root / f"digit{label}" / f"{number:04d}.png")
    return root


@pytest.fixture
def command(capfd):
    """Runs a command with --json; returns its result and what it printed on stderr."""

    def call(*arguments):
        code = main([*map(str, arguments), "--json"])
        printed, errors = capfd.readouterr()
        assert code == 0, errors
        return json.loads(printed), errors

    return call


@pytest.fixture
def refused(capfd):
    """Runs a command that fails with an exit code; returns the one line that it prints."""

    def call(code, *arguments):
        assert main([*map(str, arguments)]) == code
        printed, errors = capfd.readouterr()
        assert printed == ""
        lines = errors.strip().splitlines()
        assert len(lines) == 1, errors
        assert lines[0].startswith("unpoison: ")
        return lines[0]

    return call
