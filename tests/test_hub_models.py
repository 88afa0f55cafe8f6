"""The restorers that are published: readable, small, and better than filling a patch from around it."""

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from unpoison import Restorer
from unpoison.attacks import BadNets
from unpoison_bench.data import load_images

ROOT = Path(__file__).parents[1] / "hub_models"
FOLDERS = sorted(path.parent for path in ROOT.glob("*/config.json"))


def test_there_are_two():
    assert {folder.name for folder in FOLDERS} >= {"patches-cifar10", "patches-gtsrb"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_card_tells_what_was_measured(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6
    card, measured = (folder / "README.md").read_text(), json.loads((folder / "measured.json").read_text())
    for family, errors in measured["errors"].items():
        restored, filled, left = errors
        assert restored < filled < left
        assert f"| {family}: error" in card
        assert " / ".join(f"{error:.4f}" for error in errors) in card


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_saved_again_its_tensors_keep_their_names(folder, tmp_path):
    again = Restorer.from_pretrained(folder).save_pretrained(tmp_path / "again")
    saved, published = (load_file(place / "model.safetensors") for place in (again, folder))
    assert all(torch.equal(tensor, published[name]) for name, tensor in saved.items())


@pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA is unset: no real images")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_white_corners_are_restored(folder):
    restorer = Restorer.from_pretrained(folder)
    clean = load_images(folder.name.removeprefix("patches-"), "test", per_class=20).images[:200]
    stamped = BadNets()(clean)
    restored = restorer(torch.from_numpy(stamped)).numpy()
    corner = np.s_[:, -3:, -3:]
    error = np.abs(restored.astype(int) - clean)[corner].mean()
    filled = (restorer.trigger.invert(torch.from_numpy(stamped).permute(0, 3, 1, 2) / 255) * 255).round()
    assert error < np.abs(filled.permute(0, 2, 3, 1).numpy() - clean)[corner].mean()
    assert (restored[:, :-3] == clean[:, :-3]).all()


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # Of the client's own uploads.
def test_publishing(hub, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["publish.py", "someone"])
    runpy.run_path(str(ROOT / "publish.py"), run_name="__main__")
    for folder in FOLDERS:
        pulled = Restorer.from_pretrained(f"someone/restorer-{folder.name}")
        images = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
        assert torch.equal(pulled(images), Restorer.from_pretrained(folder)(images))
