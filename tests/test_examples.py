"""The examples, on small data."""

import os
import re
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import corner  # noqa: F401 (registers the method)
from restorers import make_restorer
from unpoison import Sanitizer
from unpoison.demo import load_digits

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


def run(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_every_example_is_tested():
    tested = Path(__file__).read_text()
    assert all(f'"{path.name}"' in tested for path in EXAMPLES.glob("*.py"))


def test_train(monkeypatch, capsys):
    run(monkeypatch, "train_cifar10.py", "--digits", "--epochs", 1, "--preset", "fast")
    assert "epoch 1: test accuracy" in capsys.readouterr().out


def test_clean_hugging_face(monkeypatch, capsys):
    run(monkeypatch, "clean_hugging_face.py")
    before, after, restored = map(int, re.findall(r"\d+", capsys.readouterr().out))
    assert before == 1797
    assert 1700 < after <= before
    # One of 25 is poisoned.
    assert 35 < restored < 110


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_share_restorer(hub, monkeypatch, capsys, tmp_path):
    folder = make_restorer().save_pretrained(tmp_path / "r")
    run(monkeypatch, "share_restorer.py", folder, "user/name", "--licence", "mit")
    assert "same output: True" in capsys.readouterr().out


def test_train_shards_on_two_ranks(tmp_path):
    digits = load_digits()
    # Not quite white: the stand-in method takes a white corner for poison.
    data = [(np.minimum(image, 250), label) for image, label in zip(digits.images[:400], digits.labels, strict=False)]
    Sanitizer("corner").export(data, tmp_path / "cleaned")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(EXAMPLES / "train_shards_ddp.py"), str(tmp_path / "cleaned"), "--steps", "60"]
    # What torchrun sets, without its own start, which takes as long as the training.
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(command, env={**os.environ, **group, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        printed = [rank.communicate(timeout=300)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert printed[1] == ""
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", printed[0])]
    assert len(losses) == 6
    assert losses[-1] < losses[0] / 2
