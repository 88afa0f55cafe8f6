"""Which value is white: decided by nearly all images, and never guessed so that images turn black."""

import dataclasses

import datasets
import numpy as np
import pytest
import torch

import corner
from unpoison import SanitizedDataset, Sanitizer, sanitize
from unpoison.data.access import RawView
from unpoison.data.eight_bit import Levels, from_eight_bit
from unpoison.data.surveying import survey
from unpoison.errors import DatasetError

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
IMAGES, LABELS = corner.make_images(40)


def pairs(images):
    return list(zip(images, LABELS.tolist(), strict=True))


def levels(images):
    return survey(RawView(pairs(images))).levels


def with_pixel(images, value, at=17):
    images = images.copy()
    images[at, 0, 0] = value
    return images


UNIT = IMAGES / np.float32(255)
INTS = IMAGES.astype(np.int32)
KNOWN = {
    "unit": (UNIT, (1, 255)),
    "half": (UNIT.astype(np.float16), (1, 255)),
    "floats": (IMAGES.astype(np.float64), (255, 255)),
    "binary floats": ((IMAGES > 99).astype(np.float32), (1, 255)),
    "binary": ((IMAGES > 99).astype(np.int64), (1, 1)),
    "bytes as ints": (INTS, (1, 255)),
    "signed bytes": ((IMAGES // 2).astype(np.int8), (1, 255)),
    "12 bits": ((INTS * 16).astype(np.uint16), (1, 4095)),
    "16 bits": ((INTS * 257).astype(np.uint16), (1, 65535)),
    "signed 16 bits": ((INTS * 128).astype(np.int16), (1, 65535)),
    "a black one": (np.where(np.arange(40)[:, None, None, None] == 3, 0, IMAGES).astype(np.float32), (255, 255)),
    "a nearly black one": (np.where(np.arange(40)[:, None, None, None] == 3, 1, INTS), (1, 255)),
    "float16 rounding": (with_pixel(UNIT, 1.001), (1, 255)),
}
REFUSED = {
    "a pixel of another range": (with_pixel(UNIT, 1.5), "item 17: its float pixels go up to 1.5, .* in 0..1: repair"),
    "half of another range": (
        np.where(np.arange(40)[:, None, None, None] % 2, UNIT, IMAGES),
        "item 1: its float pixels go up to 0.9.*, while those of others go up to 2",
    ),
    "one of another range": (
        np.where(np.arange(40)[:, None, None, None] == 5, UNIT, IMAGES),
        "item 5: its float pixels go up to 0.9",
    ),
    "a wide pixel": (with_pixel(INTS, 256), "item 17: its integer pixels go up to 256, .* in 0..255"),
    "half of 16 bits": (
        np.where(np.arange(40)[:, None, None, None] % 2, INTS * 257, INTS).astype(np.uint16),
        "item 0: its integer pixels go up to 2",
    ),
    "normalised": (UNIT * 2 - 1, "item 0: the image has negative pixels, .*transform="),
    "a negative pixel": (with_pixel(INTS, -1), "item 17: the image has negative pixels, down to -1"),
    "16 greys": (IMAGES / 255 * 16, r"float pixels of 0..1[56].* have no known range"),
    "9 bits": (INTS + 200, "integer pixels of 0..4[0-9]* have no known range"),
    "divided twice": (UNIT / 255, "float pixels of 0..0.00.* have no known range"),
    "wide floats": (IMAGES * np.float32(257), "item 0: its float pixels go up to 6.*"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_ranges(name):
    images, wanted = KNOWN[name]
    assert levels(images) == wanted


@pytest.mark.parametrize("name", REFUSED)
def test_no_range_is_guessed(name):
    images, message = REFUSED[name]
    with pytest.raises(DatasetError, match=message):
        levels(images)


def test_kinds_of_pixels_do_not_mix():
    mixed = [image.astype((np.uint8, np.float32, np.uint16)[number % 3]) for number, image in enumerate(IMAGES)]
    mixed[1::3] = [image / np.float32(255) for image in mixed[1::3]]
    assert levels(mixed) == (1, 255)


@pytest.mark.parametrize("on_unreadable", ["raise", "skip"])
def test_an_item_of_another_range_is_never_skipped(on_unreadable, cache):
    images = torch.from_numpy(with_pixel(UNIT, 1.5)).permute(0, 3, 1, 2)
    with pytest.raises(DatasetError, match="item 17"):
        SanitizedDataset(pairs(images), "corner", on_unreadable=on_unreadable).prepare()
    assert not list(cache.rglob("manifest.json"))


@pytest.mark.parametrize(
    "images", [UNIT, (INTS * 257).astype(np.uint16), np.rint(IMAGES / 255 * 4095).astype(np.int16)]
)
def test_restored_items_keep_dtype_and_range(images):
    served = SanitizedDataset(pairs(images), "corner", align=True)
    image, _ = served[corner.POISONED[0]]
    assert image.dtype == images.dtype
    np.testing.assert_allclose(image[-1, -1], image[-1, -2], atol=images.max() / 250)
    np.testing.assert_array_equal(served[0][0], images[0])


def test_white_fits_into_the_type():
    white = np.full((2, 2, 1), 255, np.uint8)
    for dtype, level in ((np.int8, 255), (np.int16, 65535)):
        again = from_eight_bit(white, np.zeros((2, 2, 1), dtype), Levels(integer=level))
        assert (again == np.iinfo(dtype).max).all()


def hugging_face(images):
    features = datasets.Features({"image": datasets.Array3D((8, 8, 3), "float32"), "label": datasets.Value("int64")})
    return datasets.Dataset.from_dict({"image": list(images), "label": LABELS}, features=features)


def test_tables_and_streams_decide_alike():
    table = hugging_face(UNIT)
    for source in (table, table.to_iterable_dataset()):
        (row, *_) = [row for row in sanitize(source, "corner") if row["unpoison_action"] == "restore"]
        image = np.array(row["image"])
        np.testing.assert_allclose(image[-1, -1], image[-1, -2], atol=1 / 250)
    wrong = hugging_face(with_pixel(UNIT, 1.5))
    for source in (wrong, wrong.to_iterable_dataset()):
        with pytest.raises(DatasetError, match="item 17"):
            sanitize(source, "corner")


def test_a_range_that_is_read_otherwise_is_another_result(monkeypatch):
    """What an earlier version guessed is not opened."""

    found = survey(RawView(pairs(UNIT)))
    before = Sanitizer("corner")
    before.fit(pairs(UNIT))
    darker = dataclasses.replace(found, levels=Levels(floating=255))
    monkeypatch.setattr("unpoison.working_copy.survey", lambda *_, **__: darker)
    after = Sanitizer("corner")
    after.fit(pairs(UNIT))
    assert after.cleaned.folder != before.cleaned.folder
