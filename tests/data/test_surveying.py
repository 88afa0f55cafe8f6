"""The survey."""

from pathlib import Path

import datasets
import pytest
from PIL import Image
from torch.utils.data import Subset

import corner
from unpoison.data.access import RawView
from unpoison.data.surveying import survey
from unpoison.errors import DatasetError


def test_digest_sees_pixels_and_labels(pairs):
    def digest(dataset):
        return survey(RawView(dataset)).digest

    changed = [(image.copy(), label) for image, label in pairs]
    assert digest(changed) == digest(pairs)
    changed[3][0].putpixel((1, 1), (1, 2, 3))
    assert digest(changed) != digest(pairs)
    relabelled = [*pairs[:-1], (pairs[-1][0], (pairs[-1][1] + 1) % 3)]
    assert digest(relabelled) != digest(pairs)


def test_errors_of_workers_name_the_item(pairs):
    pairs[5] = (pairs[5][0], -1)
    with pytest.raises(DatasetError, match=r"^item 5: the label -1 is negative"):
        survey(RawView(pairs), num_workers=1)


def test_files_of_the_images(images_and_labels, tmp_path, monkeypatch):
    """Also of a folder with a relative path, and of images that a dataset's own class opens."""
    monkeypatch.chdir(tmp_path)
    folder = corner.image_folder(*images_and_labels, Path("photos"))
    opened = [(Image.open(path), label) for path, label in folder.samples]
    for dataset in (folder, Subset(folder, range(24)), opened):
        files = survey(RawView(dataset)).files
        assert files.folder == str(tmp_path / "photos")
        assert files.names() == [path.removeprefix("photos/") for path, _ in folder.samples]


def test_rows_whose_images_are_files(images_and_labels, tmp_path, monkeypatch):
    """A name beside the bytes is no file."""
    monkeypatch.chdir(tmp_path)
    samples = corner.image_folder(*images_and_labels, Path("photos")).samples
    images = [{"path": path, "bytes": None} for path, _ in samples]
    images[0] = {"path": "photos/0.png", "bytes": Path(samples[0][0]).read_bytes()}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = {"image": images, "label": [label for _, label in samples]}
    files = survey(RawView(datasets.Dataset.from_dict(rows, features=features))).files
    assert files.folder == str(tmp_path / "photos")
    assert files.names() == ["", *(path.removeprefix("photos/") for path, _ in samples[1:])]


def test_images_that_are_no_files(pairs):
    assert survey(RawView(pairs)).files is None
