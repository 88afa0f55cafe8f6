"""Opening without reading: what counts as unchanged, and what is read again."""

import os
import time
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import ConcatDataset, Subset
from torchvision.datasets import ImageFolder

import corner
from unpoison.data import surveying
from unpoison.data.access import RawView
from unpoison.data.index import Index
from unpoison.data.surveying import survey

NAMES = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})


def age(folder):
    """Makes files older than the clock's ticks."""
    for path in folder.rglob("*.png"):
        os.utime(path, (time.time() - 60,) * 2)


@pytest.fixture
def photos(tmp_path):
    corner.image_folder(*corner.make_images(), tmp_path / "photos")
    age(tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def read(monkeypatch):
    """The positions that surveys read, in order."""
    positions, fact = [], surveying._fact

    def noted(view, position):
        positions.append(position)
        return fact(view, position)

    monkeypatch.setattr(surveying, "_fact", noted)
    return positions


def look(dataset, cache, **options):
    view = RawView(dataset)
    origins = view.origins()
    found = survey(view, num_workers=0, index=None if origins is None else Index(cache, origins), **options)
    assert found.digest == survey(RawView(dataset), num_workers=0).digest
    return found


def reads(dataset, cache, read, **options):
    """How many items a survey reads, beside the one that checks its result."""
    read.clear()
    look(dataset, cache, **options)
    return len(read) - len(dataset)


CONTAINERS = {
    "folder": lambda folder: folder,
    "subset": lambda folder: Subset(folder, [5, 3, *range(8, 24)]),
    "concat": lambda folder: ConcatDataset([folder, Subset(folder, range(12))]),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_unchanged_files_are_not_read(kind, photos, cache, read):
    dataset = CONTAINERS[kind](ImageFolder(photos))
    assert reads(dataset, cache, read) == len(dataset)
    first = look(dataset, cache)
    again = look(dataset, cache)
    assert reads(dataset, cache, read) == 0
    for name in ("labels", "sizes", "digests", "plain_jpegs"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    for name in ("names", "text_labels", "channels", "levels", "extension", "only_pixels", "form", "files"):
        assert getattr(first, name) == getattr(again, name)
    assert reads(dataset, cache, read, trusted=False) == len(dataset)


def test_no_file_is_opened(photos, cache, monkeypatch):
    look(ImageFolder(photos), cache)
    dataset = ImageFolder(photos)
    monkeypatch.setattr("unpoison.data.encoded.Encoded.read", None)
    monkeypatch.setattr("PIL.Image.open", None)
    view = RawView(dataset, cache=cache)
    assert len(survey(view, index=Index(cache, view.origins())).labels) == 24


def change_content(photos):
    path = sorted(photos.rglob("*.png"))[4]
    image = Image.open(path).convert("RGB")
    image.putpixel((1, 1), (1, 2, 3))
    image.save(path)
    os.utime(path, (time.time() - 30,) * 2)


def move_to_another_class(photos):
    path = sorted(photos.glob("class0/*.png"))[0]
    path.rename(photos / "class2" / path.name)


def add(photos):
    Image.new("RGB", (8, 8), "red").save(photos / "class1" / "new.png")
    age(photos)


def remove(photos):
    sorted(photos.glob("class1/*.png"))[0].unlink()


@pytest.mark.parametrize(("change", "count"), [(change_content, 1), (move_to_another_class, 1), (add, 1), (remove, 0)])
def test_only_what_changed_is_read(change, count, photos, cache, read):
    look(ImageFolder(photos), cache)
    change(photos)
    if change is add:
        # Only the new file is new: its neighbours got another time, but so they had before.
        look(ImageFolder(photos), cache)
        Image.new("RGB", (8, 8), "blue").save(photos / "class1" / "newer.png")
        os.utime(photos / "class1" / "newer.png", (time.time() - 60,) * 2)
    assert reads(ImageFolder(photos), cache, read) == count


def test_a_new_class_changes_all_labels_behind_it(photos, cache, read):
    look(ImageFolder(photos), cache)
    (photos / "class0b").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8), "red").save(photos / "class0b" / f"{number}.png")
    later = sum(label > 0 for label in ImageFolder(photos).targets)
    assert reads(ImageFolder(photos), cache, read) == later


def test_what_changed_just_now_is_read_again(photos, cache, read):
    path = sorted(photos.rglob("*.png"))[4]
    os.utime(path)
    look(ImageFolder(photos), cache)
    assert reads(ImageFolder(photos), cache, read) == 1
    os.utime(path, (time.time() + 600,) * 2)  # by a clock that is ahead
    look(ImageFolder(photos), cache)
    assert reads(ImageFolder(photos), cache, read) == 1


def test_parts_of_one_folder_share_the_index(photos, cache, read):
    folder = ImageFolder(photos)
    parts = [Subset(folder, range(0, 24, 2)), Subset(folder, range(1, 24, 2))]
    for part in parts:
        look(part, cache)
    assert [reads(part, cache, read) for part in parts] == [0, 0]
    assert reads(folder, cache, read) == 0
    assert len(list(cache.glob("index/*"))) == 1


def test_damage_costs_time_only(photos, cache, read):
    look(ImageFolder(photos), cache)
    (path,) = cache.glob("index/*.npz")
    whole = path.read_bytes()
    for damaged in (b"", whole[:-100], whole.replace(b"class1", b"class7", 1), b"PK" + whole[2:700] + b"x" * 99):
        path.write_bytes(damaged)
        assert reads(ImageFolder(photos), cache, read) == 24
        assert reads(ImageFolder(photos), cache, read) == 0
    assert not list(cache.rglob("*.tmp"))


def test_a_cache_that_cannot_be_written_is_no_error(photos, cache, read):
    cache.write_text("a file")
    assert reads(ImageFolder(photos), cache, read) == 24


class Inverted(ImageFolder):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image.point(lambda value: 255 - value), label


def test_code_of_others_is_never_taken_for_the_files(photos):
    folder = ImageFolder(photos)
    assert RawView(folder).origins() is not None
    other = ImageFolder(photos, loader=lambda path: Image.open(path).convert("L"))
    images, labels = corner.make_images()
    pairs = list(zip(images, labels, strict=True))
    for dataset in (Inverted(photos), other, pairs, ConcatDataset([folder, pairs]), Subset(Inverted(photos), range(9))):
        assert RawView(dataset).origins() is None


def make_table(photos, inside):
    files = sorted(photos.rglob("*.png"))
    images = [{"bytes": path.read_bytes(), "path": None} if inside else str(path) for path in files]
    labels = [int(path.parent.name[-1]) for path in files]
    return datasets.Dataset.from_dict({"image": images, "label": labels}, features=NAMES)


@pytest.mark.parametrize("inside", [True, False])
def test_tables(inside, photos, cache, read):
    table = make_table(photos, inside)
    assert reads(table, cache, read) == 24
    assert reads(make_table(photos, inside), cache, read) == 0
    part = table.select([7, 4, *range(8, 24)])
    assert reads(part, cache, read) == 18
    assert reads(Subset(part, range(16)), cache, read) == 0
    relabelled = table.map(lambda row: {"label": 2 - row["label"]})
    assert reads(relabelled, cache, read) == 24
    change_content(photos)
    assert reads(table, cache, read) == (0 if inside else 1)
    assert reads(part, cache, read) == (0 if inside else 1)


def test_relative_paths_mean_other_files_elsewhere(photos, cache, read, monkeypatch):
    monkeypatch.chdir(photos.parent)
    look(ImageFolder("photos"), cache)
    assert reads(ImageFolder("photos"), cache, read) == 0
    other = photos.parent / "elsewhere"
    corner.image_folder(*corner.make_images(seed=1), other / "photos")
    for path in other.rglob("*.png"):
        os.utime(path, ns=(0, (photos / Path(*path.parts[-2:])).stat().st_mtime_ns))
    monkeypatch.chdir(other)
    assert reads(ImageFolder("photos"), cache, read) == 24


def test_one_file_with_two_labels(photos, cache, read):
    first, second = ImageFolder(photos), ImageFolder(photos, target_transform=None)
    second.samples = [(path, (label + 1) % 3) for path, label in second.samples]
    both = ConcatDataset([first, second])
    found = look(both, cache)
    np.testing.assert_array_equal(found.labels[24:], (found.labels[:24] + 1) % 3)
    assert reads(both, cache, read) == 0
