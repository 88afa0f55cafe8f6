"""What users do wrong with SanitizedDataset, and the one error that they get."""

import json
import math
import re
import warnings
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

import corner
from listed import relist
from unpoison import SanitizedDataset
from unpoison.errors import CacheError, ConfigError, DatasetError, ThinEvidenceWarning

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


class Fixed(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        if isinstance(item, Exception):
            raise item
        return item


def pixels(value=0.0, dtype=np.uint8, shape=(8, 8, 3)):
    return np.full(shape, value, dtype)


def with_item(item, at=7, dtype=np.uint8):
    items = [(pixels(n, dtype), n % 2) for n in range(12)]
    items[at] = item
    return Fixed(items)


class Augmented(Fixed):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image + torch.randint(0, 9, (1,)).numpy().astype(np.uint8), label


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch will remove the type
        return torch.quantize_per_tensor(torch.zeros(8, 8), 0.1, 0, torch.quint8)


MISTAKES = {
    "empty": (Fixed([]), "is empty"),
    "one_class": (Fixed([(pixels(n), 1) for n in range(9)]), "at least two classes"),
    "single_image": (with_item((pixels(), 5)), "item 7 is the only image of class 5"),
    "negative_label": (with_item((pixels(), -1)), "item 7: the label -1 is negative"),
    "fractional_label": (with_item((pixels(), 0.5)), "item 7: the label 0.5 is fractional"),
    "huge_label": (with_item((pixels(), 10**30)), "item 7: the label 10+ is too large: use class numbers below 2"),
    "infinite_label": (with_item((pixels(), math.inf)), "item 7: the label inf is fractional"),
    "date_label": (with_item((pixels(), np.datetime64(5, "ns"))), "item 7: the label is datetime64, not a single"),
    "meta_label": (with_item((pixels(), torch.zeros(1, device="meta"))), "item 7: the label is Tensor .* meta, not a"),
    "no_label": (with_item((pixels(), None)), "item 7: the label is missing"),
    "nan_label": (with_item((pixels(), float("nan"))), "item 7: the label is missing"),
    "vector_label": (with_item((pixels(), np.zeros(3))), "item 7: the label is ndarray"),
    "mixed_labels": (with_item((pixels(), "a")), "some labels are numbers and some are strings"),
    "only_image": (
        Fixed([pixels(n) for n in range(9)]),
        r"item 0: the item is ndarray uint8 \[8, 8, 3\]: items must be",
    ),
    "no_image": (with_item(("path.png", 0)), "item 7: the item is .*: items must be"),
    "nan_pixels": (with_item((pixels(np.nan, np.float32), 0), dtype=np.float32), "item 7: .*NaN"),
    "infinite_pixels": (with_item((pixels(np.inf, np.float32), 0), dtype=np.float32), "item 7: .*infinite"),
    "normalised": (with_item((pixels(-2, np.float32), 0), dtype=np.float32), "item 7: .*negative pixels.*transform="),
    "no_pixels": (with_item((pixels(shape=(0, 8, 3)), 0)), "item 7: .*no pixels"),
    "unreadable": (with_item(OSError("gone")), "item 7 cannot be read .*gone"),
    "batch": (with_item((pixels(shape=(7, 8, 9)), 0)), "item 7: .*not one image"),
    "4d": (with_item((torch.zeros(1, 3, 8, 8), 0)), r"item 7: the image is Tensor float32 \[1, 3, 8, 8\], of 4 dim"),
    "4d_field": (
        Fixed([{"image": pixels(shape=(2, 8, 8, 3)), "label": 0}] * 9),
        r"item 0: .* uint8 \[2, 8, 8, 3\]",
    ),
    "flat": (with_item((pixels(shape=(64,)), 0)), r"item 7: the image is ndarray uint8 \[64\], of 1 dim"),
    **{
        f"{name}_image": (with_item((image, 0)), f"item 7: the image is {said}, which")
        for name, image, said in (
            ("sparse", torch.zeros(8, 8).to_sparse(), r"Tensor float32 \[8, 8\] sparse_coo"),
            ("meta", torch.zeros(8, 8, device="meta"), r"Tensor float32 \[8, 8\] meta"),
            ("quantised", quantised(), r"Tensor quint8 \[8, 8\]"),
            ("complex", pixels(dtype=np.complex64), r"ndarray complex64 \[8, 8, 3\]"),
            ("date", pixels(0, "datetime64[s]"), r"ndarray datetime64\[s\] \[8, 8, 3\]"),
            ("text", pixels("a", "U1"), r"ndarray <U1 \[8, 8, 3\]"),
            ("object", pixels(0, object), r"ndarray object \[8, 8, 3\]"),
        )
    },
    "augmented": (Augmented([(pixels(n), n % 2) for n in range(12)]), "item 0 .*augmentation.*transform="),
    "lab": (with_item((Image.new("LAB", (8, 8)), 0)), "item 7: images of mode 'LAB'"),
    "iterable": (datasets.Dataset.from_dict({"a": [1]}).to_iterable_dataset(), "no random access"),
    "splits": (datasets.DatasetDict(train=datasets.Dataset.from_dict({"a": [1]})), "several datasets"),
    "two_labels": (Fixed([{"image": pixels(), "a": 1, "b": 2}] * 9), "item 0: 2 of the fields .* label"),
    "missing_hf_image": (
        datasets.Dataset.from_dict(
            {"image": [Image.fromarray(pixels())] * 9 + [None], "label": [0, 1] * 5},
            features=datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")}),
        ),
        "item 9 cannot be read .the image is missing",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_have_one_error(mistake, cache):
    dataset, message = MISTAKES[mistake]
    with pytest.raises(DatasetError, match=message):
        SanitizedDataset(dataset, "corner").prepare()
    assert not list(cache.rglob("manifest.json"))


def test_truncated_and_empty_files(tmp_path, cache):
    images, labels = corner.make_images()
    dataset = corner.image_folder(images, labels, tmp_path / "data")
    path = Path(dataset.samples[5][0])
    data = path.read_bytes()
    for damaged in (data[: len(data) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match="item 5"):
            SanitizedDataset(dataset, "corner").prepare()
        assert not list(cache.rglob("manifest.json"))
        assert not list(cache.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "magic"}, "unknown method 'magic'.*corner"),
        ({"config": "slow"}, "unknown preset 'slow'"),
        ({"config": 3}, "preset's name or a CornerConfig"),
        ({"on_poison": "burn"}, "on_poison='burn': should be 'restore', 'drop' or 'keep'"),
        ({"duplicates": "merge"}, "duplicates='merge': should be 'keep' or 'drop'"),
        ({"on_unreadable": "ignore"}, "on_unreadable='ignore': should be 'raise' or 'skip'"),
        *(
            (
                {"max_altered": value},
                f"max_altered={re.escape(repr(value))}: should be ",
            )
            for value in (0, -0.5, 1.01, math.nan, "0.5", True, None)
        ),
        ({"device": "warp"}, "device 'warp' cannot be used"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used"),
    ],
)
def test_wrong_arguments(arguments, message, pairs):
    with pytest.raises(ConfigError, match=message):
        SanitizedDataset(pairs, **{"method": "corner", **arguments})


def test_unwritable_cache(pairs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"cannot be (written|read).*cache_dir="):
        SanitizedDataset(pairs, "corner", cache_dir=tmp_path / "file" / "cache").prepare()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(pairs, cache, monkeypatch):
    from unpoison.data import shards

    def full(*_):
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")

    monkeypatch.setattr(shards, "_write_tar", full)
    with pytest.raises(CacheError, match=r"No space left.*cache_dir="):
        SanitizedDataset(pairs, "corner").prepare()
    monkeypatch.undo()
    monkeypatch.setenv("UNPOISON_CACHE", str(cache))
    assert len(SanitizedDataset(pairs, "corner")) == 23


def test_newer_caches_are_refused_and_damaged_ones_made_again(pairs, cache):
    first = SanitizedDataset(pairs, "corner").prepare()
    (manifest,) = cache.glob("runs/*/manifest.json")
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "format": facts["format"] + 1}))
    relist(manifest.parent)
    with pytest.raises(CacheError, match=r"newer unpoison: upgrade"):
        SanitizedDataset(pairs, "corner").prepare()
    manifest.write_text("{")
    assert len(SanitizedDataset(pairs, "corner")) == 23
    assert json.loads(manifest.read_text())["format"] == facts["format"]
    (shard,) = first.shards
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-512])
    assert len(SanitizedDataset(pairs, "corner")) == 23
    assert shard.read_bytes() == whole


@pytest.mark.filterwarnings("error::unpoison.errors.ThinEvidenceWarning")
def test_few_images_warn(pairs):
    with pytest.warns(ThinEvidenceWarning, match="smallest class has 7 images"):
        SanitizedDataset(pairs, "corner").prepare()
    images, labels = corner.make_images(200)
    SanitizedDataset([(i, int(y)) for i, y in zip(images, labels, strict=True)], "corner").prepare()


def test_large_class_numbers_stay_apart(images_and_labels):
    """Above 2**53 a float is several integers."""
    images, labels = images_and_labels
    large = 2**53 + labels
    for kind in (list, torch.from_numpy):
        served = SanitizedDataset(
            list(zip(images, large.tolist() if kind is list else kind(large), strict=True)), "corner", align=True
        )
        clean = [int(label) for _, label in served]
        assert clean[4:8] == large[4:8].tolist()
        assert set(served.report.original_label.tolist()) == set(large.tolist())
        table = served.report.samples()
        assert SanitizedDataset(served.dataset, "corner", keep=table.append_column("keep", table["flagged"]))[0]
    assert served.report.original_label.dtype == np.int64
