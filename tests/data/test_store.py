"""Survey and working copy."""

import json
import tracemalloc
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

import corner
from unpoison.data.access import RawView
from unpoison.data.checksums import write_sums
from unpoison.data.pixels import resize
from unpoison.data.store import ImageStore
from unpoison.data.surveying import survey
from unpoison.errors import CacheError, DatasetError


def build(dataset, folder, **options):
    view = RawView(dataset)
    folder.mkdir()
    ImageStore.build(view, survey(view), folder, **options)
    write_sums(folder, [path.name for path in folder.iterdir()])
    return ImageStore.open(folder)


def test_native_size_is_exact(pairs, images_and_labels, tmp_path):
    store = build(pairs, tmp_path / "store")
    np.testing.assert_array_equal(store.images, images_and_labels[0])
    np.testing.assert_array_equal(store.labels, images_and_labels[1])
    assert store.num_classes == 3
    assert torch.from_numpy(store.images).dtype == torch.uint8
    again = ImageStore.open(tmp_path / "store")
    assert again.digest == store.digest == survey(RawView(pairs)).digest
    again.images[0] = 0
    np.testing.assert_array_equal(ImageStore.open(tmp_path / "store").images[0], images_and_labels[0][0])


def test_workers_give_the_same(pairs, tmp_path):
    view = RawView(pairs)
    assert survey(view, num_workers=2).digest == survey(view, num_workers=0).digest
    first = build(pairs, tmp_path / "a", num_workers=0)
    second = build(pairs, tmp_path / "b", num_workers=2)
    np.testing.assert_array_equal(first.images, second.images)


@pytest.mark.parametrize(
    ("sizes", "max_size", "want"),
    [
        ([(20, 30)] * 4, 64, (20, 30)),
        ([(100, 200)] * 4, 64, (32, 64)),
        ([(20, 30), (40, 30), (40, 30), (60, 30)], 64, (40, 30)),
        ([(4, 6)] * 4, 64, (8, 8)),
        ([(20, 30)] * 4, 15, (10, 15)),
    ],
)
def test_working_size(sizes, max_size, want, tmp_path):
    pairs = [(Image.new("L", (width, height), 9), n % 2) for n, (height, width) in enumerate(sizes)]
    store = build(pairs, tmp_path / "store", max_size=max_size)
    assert store.images.shape == (4, *want, 1)
    assert (store.images == 9).all()


def test_grey_and_colour_mix_to_colour(tmp_path):
    pairs = [
        (Image.new(mode, (8, 8), colour), n % 2) for n, (mode, colour) in enumerate([("L", 7), ("RGB", "red")] * 2)
    ]
    store = build(pairs, tmp_path / "store")
    assert store.images.shape[3] == 3
    assert (store.images[0] == 7).all()


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


def test_memory_stays_small(tmp_path):
    class Made:
        def __len__(self):
            return 400

        def __getitem__(self, index):
            return np.full((64, 64, 3), index % 256, np.uint8), index % 2

    view = RawView(Made())
    found = survey(view, num_workers=0)
    (tmp_path / "store").mkdir()
    tracemalloc.start()
    ImageStore.build(view, found, tmp_path / "store", num_workers=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * 64 * 64 * 3 / 2


def test_unreadable_stores(pairs, tmp_path):
    with pytest.raises(CacheError, match="there are no checksums"):
        ImageStore.open(tmp_path)
    build(pairs, tmp_path / "store")
    meta = tmp_path / "store" / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "format": 99}))
    write_sums(meta.parent, [meta.name])
    with pytest.raises(CacheError, match="newer unpoison"):
        ImageStore.open(tmp_path / "store")


def test_resize_keeps_channels():
    assert resize(np.zeros((10, 20, 1), np.uint8), 5, 8).shape == (5, 8, 1)
    assert resize(np.zeros((10, 20, 3), np.uint8), 5, 8).shape == (5, 8, 3)
