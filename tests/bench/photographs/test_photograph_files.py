"""Photographs before and after the attack, as files."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unpoison_bench.photographs.files import Originals, poison, through_jpeg, write
from unpoison_bench.photographs.rows import get_row


@pytest.fixture
def originals(album):
    return Originals("clothing", "train")


def test_untouched_files_keep_their_bytes_and_the_others_are_stamped_and_saved(originals, tmp_path):
    data = poison(get_row("patch-6"), originals, seed=0)
    folder = write(tmp_path / "images", originals, data)
    assert folder.given.classes == ["dress", "hat", "shirt"]
    assert folder.poisoned.sum() == 4
    assert sorted(folder.position) == list(range(120))
    for place, (path, label) in enumerate(folder.given.samples):
        position, encoded = int(folder.position[place]), Path(path).read_bytes()
        image, number = originals[position]
        assert folder.given.classes[folder.truth[place]] == originals.classes[number]
        if folder.poisoned[place]:
            assert folder.given.classes[label] == "shirt"
            assert originals.classes[number] != "shirt"
            stamped = data[position][0]
            assert stamped.size == image.size
            assert (np.asarray(Image.open(io.BytesIO(encoded))) == np.asarray(through_jpeg(stamped))).all()
        else:
            assert label == folder.truth[place]
            assert encoded == originals.encoded(position)


def test_clean_labels_stay(originals, tmp_path):
    data = poison(get_row("wave-48"), originals, seed=0)
    folder = write(tmp_path / "images", originals, data)
    labels = np.array(folder.given.targets)
    assert (labels == folder.truth).all()
    assert (labels[folder.poisoned] == 2).all()


def test_no_attack_changes_nothing(originals, tmp_path):
    folder = write(tmp_path / "images", originals, poison(get_row("clean"), originals, seed=0))
    assert not folder.poisoned.any()
    assert all(
        Path(path).read_bytes() == originals.encoded(int(position))
        for (path, _), position in zip(folder.given.samples, folder.position, strict=True)
    )


def test_seed_decides_what_is_poisoned_and_nothing_else(originals, tmp_path):
    first, again, other = (
        write(tmp_path / name, originals, poison(get_row("patch-1.5"), originals, seed))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert all(
        Path(one).read_bytes() == Path(two).read_bytes()
        for (one, _), (two, _) in zip(first.given.samples, again.given.samples, strict=True)
    )
    assert set(first.position[first.poisoned]) != set(other.position[other.poisoned])


def test_part_has_each_class_in_its_proportion(album):
    part, again = Originals("clothing", "train", 60), Originals("clothing", "train", 60)
    assert np.bincount(part.labels).tolist() == [20, 20, 20]
    assert [part.encoded(index) for index in range(60)] == [again.encoded(index) for index in range(60)]
