"""Which images the sets are made of."""

import numpy as np
import pytest

from bench_results import needs_images
from unpoison.errors import DatasetError
from unpoison_bench.false_alarms.cases import Case, Draw
from unpoison_bench.false_alarms.drawing import draw, draw_rows, draw_test
from unpoison_bench.false_alarms.files import read_names, source_size
from unpoison_bench.false_alarms.listing import get_case


def test_too_few_images_are_an_error():
    with pytest.raises(DatasetError, match="digits has 90 images of class 0 in rows 0 to 900, 91 are needed"):
        draw_rows(Draw(source="digits", rows=(0, 900), classes=(0,), counts=91))


def test_near_duplicates_differ_a_little():
    draws = Draw(source="digits", rows=(0, 900), classes=(3, 5), counts=5, series=4, seed=0)
    drawn = draw(Case(name="series", half="develop", draw=draws))
    assert drawn.labels.reshape(10, 4).std(1).max() == 0
    images = np.stack([np.asarray(picture) for picture in drawn.pictures]).astype(int).reshape(10, 4, 8, 8)
    assert len(np.unique(images.reshape(40, -1), axis=0)) == 40
    # A shift moves strokes: images of one series are nearer to each other than to those of the other series.
    within = np.abs(images[:, 0] - images[:, 1]).mean()
    assert within < np.abs(images[:-1, 0] - images[1:, 0]).mean()


@needs_images
def test_tracks_come_whole():
    rows = draw_rows(get_case("gtsrb-tracks").draw)
    names = np.array(read_names("gtsrb", "train"))
    tracks = {name.rpartition("_")[0] for name in names[rows].tolist()}
    # 1,500 single images out of these classes' 600 tracks would come from many more than those of 30 frames each.
    assert len(rows) / len(tracks) > 10


@needs_images
def test_test_images_of_the_halves_are_different():
    halves = [get_case(name) for name in ("cifar10-10x300-a", "cifar10-10x280-e")]
    one, other = ({picture.tobytes() for picture in draw_test(case).pictures} for case in halves)
    assert len(one) == len(other) == 600
    assert not one & other
    assert source_size("cifar10", "test") == 10_000
