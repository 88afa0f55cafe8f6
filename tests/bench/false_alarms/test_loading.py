"""The data of the sets."""

import numpy as np
import pytest
from PIL import Image

from bench_results import needs_images
from unpoison_bench.false_alarms.drawing import draw
from unpoison_bench.false_alarms.listing import get_case
from unpoison_bench.false_alarms.loading import Photographs, load, load_test
from unpoison_bench.shapes import of_shape, working_shape


def test_digits_are_merged_and_their_test_images_left_out():
    case = get_case("digits-parity")
    data = load(case)
    assert data.given.images.shape == (850, 8, 8, 1)
    assert np.bincount(data.given.labels).tolist() == [425, 425]
    assert not data.poisoned.any()
    assert not data.wrong.any()
    seen = {image.tobytes() for image in data.given.images}
    test = load_test(case, (8, 8, 1))
    assert len(test) == 50
    assert set(test.labels.tolist()) == {0, 1}
    assert not any(image.tobytes() in seen for image in test.images)


def test_seed_moves_the_poison_and_nothing_else():
    case = get_case("digits-10x60+badnets-5")
    first, second = load(case), load(case, seed=1)
    assert first.poisoned.sum() == second.poisoned.sum() == 30
    assert (first.poisoned != second.poisoned).any()
    assert (first.originals.images == second.originals.images).all()
    changed = (first.given.images != first.originals.images).any((1, 2, 3))
    assert not changed[~first.poisoned].any()
    assert (first.given.labels[first.poisoned] == 0).all()


@needs_images
def test_colours_and_flat_images():
    images = load(get_case("cifar10-flat-grey")).given.images
    assert ((images == 128).all((1, 2, 3))).sum() == 45
    data = load(get_case("cifar10-mixed-grey"))
    assert _grey(data.given.images).mean() == pytest.approx(0.5, abs=0.02)
    data = load(get_case("cifar10-grey-class"))
    assert _grey(data.given.images)[data.given.labels == 1].all()
    assert _grey(data.given.images)[data.given.labels != 1].mean() < 0.05


def _grey(images):
    return (images == images[..., :1]).all((1, 2, 3))


@needs_images
def test_labels_that_people_gave():
    data = load(get_case("cifar10n-2000-b"))
    assert len(data.given) == 2000
    # 9 % of these labels are known to be wrong.
    assert data.wrong.mean() == pytest.approx(0.09, abs=0.03)
    data = load(get_case("cifar10n-3000-a+badnets-2"))
    assert not (data.wrong & data.poisoned).any()


@needs_images
def test_faces_by_attribute_and_size():
    data = load(get_case("celeba-male-young-32"))
    assert data.given.images.shape == (1540, 32, 32, 3)
    assert np.bincount(data.given.labels).tolist() == [190, 500, 350, 500]
    sizes = {draw(get_case(name)).pictures[0].size for name in ("celeba-hat-64", "celeba-blond-bangs-48")}
    assert sizes == {(64, 64), (48, 48)}


@needs_images
def test_photographs_keep_their_proportions_and_modes():
    data = load(get_case("clothing-legs-others-grey-64"))
    assert isinstance(data.given, Photographs)
    pictures = data.given.pictures
    assert len({picture.size for picture in pictures}) > 3
    assert {max(picture.size) for picture in pictures} == {64}
    assert np.mean([picture.mode == "L" for picture in pictures]) == pytest.approx(0.4, abs=0.01)
    shape = working_shape(data.given)
    assert of_shape(data.given, shape).images.shape == (520, *shape)
    assert shape[2] == 3


@needs_images
def test_poisoned_photographs():
    data = load(get_case("clothing-5x90-64+badnets-6"))
    (place, *_), sizes = np.flatnonzero(data.poisoned), {picture.size for picture in data.given.pictures}
    given, original = (np.asarray(one[place][0]).astype(int) for one in (data.given, data.originals))
    assert given.shape == original.shape
    assert (given[-3:, -3:] == 255).all()
    assert (given[:-3] == original[:-3]).all()
    assert data.given[place][1] == 3
    assert len(sizes) > 1


def test_pictures_in_one_shape():
    pictures = [Image.new("L", (4, 6), 9), Image.new("RGB", (8, 6), (1, 2, 3)), Image.new("RGB", (8, 8), (1, 2, 3))]
    data = Photographs(pictures, np.arange(3))
    assert working_shape(data) == (6, 8, 3)
    images = of_shape(data, (6, 8, 3)).images
    assert (images[0] == 9).all()
    assert (images[1] == [1, 2, 3]).all()
