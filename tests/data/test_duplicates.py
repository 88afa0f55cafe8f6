"""What is the same to the eye, and what only looks alike."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from unpoison.data.duplicates import find_duplicates
from unpoison.demo import load_digits


def photographs(count, side=32, seed=0, channels=3):
    """uint8 [N,side,side,channels]; random shades of all scales, which like photographs have large and small parts."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((count, side, side, channels), np.float32)
    for size in (2, 4, 8, 16):
        # The fine parts are grey, as they mostly are.
        shape = (count, size, size, channels if size < 4 else 1)
        coarse = rng.normal(0, 3 * (side // size) ** 0.75, shape).astype(np.float32)
        pixels += coarse.repeat(side // size, 1).repeat(side // size, 2)
    return np.clip(pixels + 120, 0, 255).astype(np.uint8)


def as_jpeg(image, quality):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "jpeg", quality=quality)
    return np.asarray(Image.open(buffer))


def groups(images, labels=None):
    """The groups as lists of positions."""
    labels = np.arange(len(images)) % 3 if labels is None else labels
    of = find_duplicates(images, labels).of
    return [np.flatnonzero(of == first).tolist() for first in np.unique(of[of >= 0])]


@pytest.mark.parametrize("side", [3, 8, 30, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_random_images_have_no_copies(side, channels):
    images = np.random.default_rng(0).integers(0, 256, (150, side, side, channels), dtype=np.uint8)
    assert groups(images) == []


def test_single_pixels():
    images = np.arange(0, 250, 10, dtype=np.uint8).repeat(2).reshape(-1, 1, 1, 1)
    assert groups(images) == [[place, place + 1] for place in range(0, 50, 2)]


def test_different_images_have_no_copies():
    digits = load_digits()
    assert groups(digits.images, digits.labels) == []
    assert groups(photographs(500)) == []


def test_copies_in_one_class_and_under_several_labels():
    images = photographs(60)
    images[[7, 31]], images[40] = images[4], images[5]
    labels = np.zeros(60, np.int64)
    labels[40:] = 1
    found = find_duplicates(images, labels)
    assert np.flatnonzero(found.of >= 0).tolist() == [4, 5, 7, 31, 40]
    assert found.of[[4, 5, 7, 31, 40]].tolist() == [4, 5, 4, 4, 5]
    assert not found.blank.any()
    # With no other images to compare with, too.
    assert groups(images[[4, 7]], labels[:2]) == [[0, 1]]


def test_placeholders():
    images = photographs(300)
    images[100:145] = 128
    images[100:145, 10:14] = 90
    found = find_duplicates(images, np.repeat([0, 1, 2], 100))
    assert np.flatnonzero(found.of >= 0).tolist() == [*range(100, 145)]
    assert set(found.of[100:145].tolist()) == {100}
    assert not found.blank.any()


def test_blank_images_of_one_shade_are_the_same_and_blank():
    images = photographs(100)
    images[[10, 20]], images[[30, 40, 50]] = 128, (250, 10, 10)
    images[20, 3, 3] += 1
    found = find_duplicates(images, np.zeros(100, np.int64))
    assert found.of[[10, 20, 30, 40, 50]].tolist() == [10, 10, 30, 30, 30]
    assert np.flatnonzero(found.blank).tolist() == np.flatnonzero(found.of >= 0).tolist() == [10, 20, 30, 40, 50]


@pytest.mark.parametrize("quality", [90, 95])
def test_copies_that_were_encoded_again(quality):
    images = photographs(80, side=64)
    images[70:] = [as_jpeg(image, quality) for image in images[:10]]
    assert groups(images) == [[place, 70 + place] for place in range(10)]


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_another_colour_is_another_image(channel):
    images = photographs(50)
    images[40] = images[3]
    images[40, ..., channel] = np.clip(images[3, ..., channel].astype(int) + 40, 0, 255)
    assert groups(images) == []


def test_a_stamp_makes_another_image():
    images = photographs(50)
    images[40:] = images[:10]
    images[40:, -4:-1, -4:-1] = images[40:, -4:-1, -4:-1] ^ 128
    assert groups(images) == []


def test_images_that_move_are_no_copies():
    image = photographs(1, side=64)[0]
    smooth = np.asarray(Image.fromarray(image).resize((128, 128), Image.Resampling.BICUBIC))
    series = np.stack([smooth[shift : shift + 96 : 3, shift : shift + 96 : 3] for shift in range(0, 30, 2)])
    assert groups(np.concatenate([photographs(50), series])) == []


def test_classes_of_much_the_same_images_are_no_heaps_of_copies():
    """Parts on a conveyor: one picture, and noise that is small beside its detail."""
    rng = np.random.default_rng(0)
    images = photographs(2)[np.arange(100) % 2].astype(np.float32) + rng.normal(0, 1.2, (100, 32, 32, 3))
    images = np.clip(images, 0, 255).astype(np.uint8)
    images[98] = images[4]
    assert groups(images, np.arange(100) % 2) == [[4, 98]]


def test_members_of_a_chain_are_copies_of_its_first():
    first, last = photographs(2).astype(np.float32)
    steps = np.linspace(0, 1, 40)[:, None, None, None]
    chain = (first + steps * (last - first)).astype(np.uint8)
    found = groups(np.concatenate([photographs(60, seed=1), chain]))
    assert len(found) >= 5
    for group in found:
        assert group == [*range(group[0], group[-1] + 1)]
        apart = chain[group[-1] - 60].astype(float) - chain[group[0] - 60]
        assert np.sqrt((apart**2).mean()) < 20


def test_mapped_from_disk(tmp_path):
    images = photographs(20)
    images[12] = images[3]
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert groups(mapped) == [[3, 12]]


def test_ten_thousand_images_take_about_a_second():
    images = photographs(10_000)
    images[5000:5100] = images[:100]
    start = time.process_time()
    found = groups(images)
    assert time.process_time() - start < 6
    assert found == [[place, 5000 + place] for place in range(100)]
