"""The working copy."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from unpoison.data.access import RawView
from unpoison.data.checksums import write_sums
from unpoison.data.store import ImageStore
from unpoison.data.surveying import survey
from unpoison.errors import CacheError


def build(dataset, folder, max_side=64, **options):
    view = RawView(dataset)
    folder.mkdir()
    ImageStore.build(view, survey(view, max_side=max_side), folder, **options)
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
    ("sizes", "max_side", "want"),
    [
        ([(20, 30)] * 4, 64, (20, 30)),
        ([(100, 200)] * 4, 64, (32, 64)),
        ([(20, 30), (40, 30), (40, 30), (60, 30)], 64, (40, 30)),
        ([(4, 6)] * 4, 64, (8, 8)),
        ([(20, 30)] * 4, 15, (10, 15)),
    ],
)
def test_working_size(sizes, max_side, want, tmp_path):
    pairs = [(Image.new("L", (width, height), 9), n % 2) for n, (height, width) in enumerate(sizes)]
    store = build(pairs, tmp_path / "store", max_side)
    assert store.images.shape == (4, *want, 1)
    assert (store.images == 9).all()


def test_grey_and_colour_mix_to_colour(tmp_path):
    pairs = [
        (Image.new(mode, (8, 8), colour), n % 2) for n, (mode, colour) in enumerate([("L", 7), ("RGB", "red")] * 2)
    ]
    store = build(pairs, tmp_path / "store")
    assert store.images.shape[3] == 3
    assert (store.images[0] == 7).all()


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
