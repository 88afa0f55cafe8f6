"""Poisoned datasets as files: names that file systems take, all or nothing."""

import json

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.attacks.folder import write_poisoned
from unpoison.errors import ConfigError, DatasetError


class Named:
    """20 images of each class."""

    def __init__(self, classes, mode="RGB"):
        self.classes, self.mode = classes, mode

    def __len__(self):
        return 20 * len(self.classes)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        image = Image.new("RGB", (9, 8), (index, 200, 90)).convert(self.mode)
        return image, index % len(self.classes)


def poisoned(*arguments):
    return PoisonedDataset(Named(*arguments), BadNets(), rate=0.1, target=0)


def test_awkward_names(tmp_path):
    names = ["../up", "a/b", "a\\b", "", "Crane", "crane", ".hidden", "poison.json", "nul\0", "ends."]
    data = poisoned(names)
    record = json.loads(write_poisoned(data, tmp_path / "out", {}).read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len({name.casefold() for name in record["classes"]}) == len(names)
    assert record["classes"][4:6] == ["Crane", "crane-5"]
    written = ImageFolder(tmp_path / "out")
    assert sorted(record["classes"]) == written.classes
    counts = np.bincount(written.targets)
    labels = np.bincount(data.targets)
    assert {name: counts[written.class_to_idx[name]] for name in record["classes"]} == dict(
        zip(record["classes"], labels, strict=True)
    )


def test_class_without_images(tmp_path):
    data = poisoned(["a", "b", "c"])
    data._label[data._label == 2] = 1
    record = json.loads(write_poisoned(data, tmp_path / "out", {}).read_text())
    assert record["classes"] == ["a", "b", None]
    assert ImageFolder(tmp_path / "out").classes == ["a", "b"]


def test_class_numbers_that_cannot_be_listed(tmp_path):
    data = poisoned(["a", "b"])
    data._label[data._label == 1] = 2**53
    with pytest.raises(DatasetError, match="class number 9007199254740992 is too large"):
        write_poisoned(data, tmp_path / "out", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["CMYK", "RGBA", "P", "I;16", "L"])
def test_modes_that_png_lacks(tmp_path, mode):
    write_poisoned(poisoned(["a", "b"], mode), tmp_path / "out", {})
    assert len(ImageFolder(tmp_path / "out")) == 40


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    write_poisoned(poisoned(["a", "b"]), tmp_path / "out", {})
    with pytest.raises(ConfigError, match="choose another one"):
        write_poisoned(poisoned(["a", "b"]), tmp_path / "out", {})


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    class Stage:
        def update(self, fraction):
            if fraction > 0.5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_poisoned(poisoned(["a", "b"]), tmp_path / "out", {}, Stage())
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        write_poisoned(poisoned(["a", "b"]), tmp_path / "file" / "out", {})
