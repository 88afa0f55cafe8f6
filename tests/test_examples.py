"""The examples, on small data."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from unpoison.restoration import Restorer
from unpoison.restoration.restorer import Architecture

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


def run(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_train(monkeypatch, capsys):
    run(monkeypatch, "train_cifar10.py", "--digits", "--epochs", 1, "--preset", "fast")
    assert "epoch 1: test accuracy" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_share_restorer(hub, monkeypatch, capsys, tmp_path):
    architecture = Architecture(
        height=8, width=8, channels=1, kind="none", generator_width=4, transformer_depth=1, residual=True,
        positions=True,
    )  # fmt: skip
    torch.manual_seed(0)
    folder = Restorer(architecture).save_pretrained(tmp_path / "r")
    run(monkeypatch, "share_restorer.py", folder, "user/name", "--licence", "mit")
    assert "same output: True" in capsys.readouterr().out
