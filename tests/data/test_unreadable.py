"""Files that cannot be read, and folders that do not belong to the data: the file or folder is named."""

import gc
import io
import os
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import Subset
from torchvision.datasets import ImageFolder

import corner
from unpoison import SanitizedDataset
from unpoison.errors import DatasetError, FolderWarning, UnreadableError

pytestmark = [
    pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning"),
    # Pillow leaves files open that it cannot read.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def html(path):
    path.write_bytes(b"<!DOCTYPE html><html>Not found</html>")


def truncated(path):
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(data, "jpeg", quality=100)
    path.write_bytes(data.getvalue()[:2000])


def empty(path):
    path.write_bytes(b"")


def broken_link(path):
    path.unlink()
    path.symlink_to(path.parent / "gone.png")


def missing(path):
    path.unlink()


def directory(path):
    path.unlink()
    path.mkdir()


def drawing(path):
    Image.new("RGB", (8, 8)).save(path, "eps")


DAMAGES = {
    html: "no image of a known format, it begins with b'<!DOCTYPE html>",
    truncated: "image file is truncated",
    empty: "the file is empty",
    broken_link: "the link leads to no file",
    missing: "No such file or directory",
    directory: "it is no file, but a folder",
    drawing: "EPS files are not decoded",
}


@pytest.fixture(autouse=True)
def closed():
    """Closes what Pillow left open, while that is let pass."""
    yield
    gc.collect()


@pytest.fixture
def folder(images_and_labels, tmp_path):
    return corner.image_folder(*images_and_labels, tmp_path / "data")


def as_own_class(folder):
    """Files opened by somebody else's code."""

    class Own:
        def __len__(self):
            return len(folder.samples)

        def __getitem__(self, index):
            path, label = folder.samples[index]
            return {"image": Image.open(path), "label": label}

    return Own()


def as_rows(folder):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=folder.classes)})
    columns = {"image": [path for path, _ in folder.samples], "label": folder.targets}
    return datasets.Dataset.from_dict(columns, features=features)


KINDS = {
    "folder": lambda folder: folder,
    "subset": lambda folder: Subset(folder, range(24)),
    "own": as_own_class,
    "rows": as_rows,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("at", [0, 9])
def test_errors_name_the_file(folder, cache, damage, kind, at):
    dataset = KINDS[kind](folder)
    path = Path(folder.samples[at][0])
    damage(path)
    if kind == "own" and damage is drawing:
        pytest.skip("somebody else's code decides what it decodes")
    with pytest.raises(UnreadableError) as error:
        SanitizedDataset(dataset, "corner").prepare()
    assert f"item {at} ({path}) cannot be read (" in str(error.value) or kind == "own"
    assert str(path) in str(error.value)
    assert kind == "own" or (DAMAGES[damage] in error.value.reason and error.value.file == str(path))
    assert not list(cache.rglob("manifest.json"))


def test_files_without_permission(folder, monkeypatch):
    path = folder.samples[9][0]

    def closed(name, flags, *rest, real=os.open, **options):
        if name == path:
            raise PermissionError(13, "Permission denied", name)
        return real(name, flags, *rest, **options)

    monkeypatch.setattr(os, "open", closed)
    with pytest.raises(UnreadableError, match=rf"item 9 \({path}\) cannot be read \(Permission denied\)"):
        SanitizedDataset(folder, "corner").prepare()


def test_errors_of_labels_name_the_file_too(folder):
    folder.samples[9] = (folder.samples[9][0], -1)
    with pytest.raises(DatasetError, match=rf"item 9 \({folder.samples[9][0]}\): the label -1 is negative"):
        SanitizedDataset(folder, "corner").prepare()


def test_a_transform_that_fails_is_no_unreadable_file(folder):
    """The items are read while the dataset is opened: the mistake shows before hours of work."""

    def fails(image):
        raise ValueError("three channels")

    folder.transform = fails
    with pytest.raises(DatasetError, match=r"item 0 cannot be read .*three channels"):
        SanitizedDataset(folder, "corner")


def copy_into(name, folder, count=1):
    place = Path(folder.root) / name
    place.mkdir(parents=True)
    for number, (path, _) in enumerate(folder.samples[:count]):
        (place / f"{number}-checkpoint.png").write_bytes(Path(path).read_bytes())
    return place, ImageFolder(folder.root)


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "single"])
def test_a_folder_of_one_image_is_an_error(folder, name):
    place, dataset = copy_into(name, folder)
    label = dataset.class_to_idx[name]
    with pytest.raises(DatasetError) as error:
        SanitizedDataset(dataset, "corner").prepare()
    index = dataset.targets.index(label)
    assert str(error.value) == (
        f"item {index} ({place}/0-checkpoint.png) is the only image of class {label}, the folder {place}: "
        "remove the folder, or add more images of the class"
    )


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        (".ipynb_checkpoints", 3, "the folder {} is hidden, and 3 images of the dataset lie in it"),
        ("class1/.ipynb_checkpoints", 1, "the folder {} is hidden, and 1 image of the dataset lie"),
        ("class1/__MACOSX", 2, "the folder {} is hidden, and 2 images"),
        ("two", 2, "the folder {}, class 3, holds 2 images: remove it if it is none"),
    ],
)
def test_odd_folders_are_named(folder, name, count, message):
    place, dataset = copy_into(name, folder, count)
    with pytest.warns(FolderWarning) as caught:
        SanitizedDataset(dataset, "corner").prepare()
    texts = [str(warning.message) for warning in caught if warning.category is FolderWarning]
    assert len(texts) == 1
    assert texts[0].startswith(message.format(place))


def test_data_in_a_hidden_place_are_not_odd(images_and_labels, tmp_path):
    dataset = corner.image_folder(*images_and_labels, tmp_path / ".cache" / "data")
    SanitizedDataset(dataset, "corner").prepare()
    place, dataset = copy_into("class1/.thumbnails", dataset, 2)
    with pytest.warns(FolderWarning, match=f"the folder {place} is hidden"):
        SanitizedDataset(dataset, "corner").prepare()
