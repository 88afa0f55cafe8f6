import numpy as np
import pytest

from unpoison.native.frames import FRAMES, STRETCHED, Box, Frame, Window, bounds, distinct

CANVAS, BOX = (100, 80), Box(70, 60, 20, 10)


@pytest.mark.parametrize(
    ("frame", "size", "place"),
    [
        (Frame((0, 0)), (200, 160), (70, 60, 20, 10)),
        (Frame((1, 1)), (200, 160), (170, 140, 20, 10)),
        (Frame((1, 1), by_side=True), (200, 160), (140, 120, 40, 20)),
        (Frame((1, 1), by_side=True), (160, 240), (100, 200, 40, 20)),
        (Frame((0.5, 0.5)), (200, 160), (120, 100, 20, 10)),
        (STRETCHED, (200, 80), (140, 60, 40, 10)),
        (Frame((1, 1)), (25, 80), None),
    ],
)
def test_a_window_lies_where_its_frame_says(frame, size, place):
    assert Window(frame, CANVAS, BOX, (20, 10)).place(size) == place


@pytest.mark.parametrize("frame", FRAMES)
def test_all_frames_agree_in_the_canvas(frame):
    assert Window(frame, CANVAS, BOX, (20, 10)).place(CANVAS) == BOX


def test_frames_that_come_to_the_same_are_tried_once():
    assert len(distinct(FRAMES, CANVAS, BOX, [CANVAS])) == 1
    # Along the shorter side, shares of it are the same from wherever they are measured.
    assert len(distinct(FRAMES, CANVAS, BOX, [CANVAS, (300, 200)])) == 9 + 3 + 1
    # Shares of the shorter side are pixels where all have the same.
    assert len(distinct(FRAMES, CANVAS, Box(40, 40, 9, 9), [CANVAS, (80, 100)])) == 9 + 1


def test_a_cut_has_the_windows_size():
    image = np.arange(200 * 160 * 3, dtype=np.uint32).astype(np.uint8).reshape(200, 160, 3)
    np.testing.assert_array_equal(Window(Frame((1, 1)), CANVAS, BOX, (20, 10)).cut(image), image[170:190, 140:150])
    assert Window(Frame((1, 1), by_side=True), CANVAS, BOX, (20, 10)).cut(image).shape == (20, 10, 3)
    assert Window(Frame((1, 1)), CANVAS, BOX, (20, 10)).cut(image[:20]) is None


def test_boxes():
    mask = np.zeros((9, 9), bool)
    mask[2:5, 7] = True
    assert bounds(mask) == (2, 7, 3, 1)
    assert Box(2, 7, 3, 1).grown(1, 2) == (1, 5, 5, 5)
    assert Box(1, 5, 5, 5).within((9, 9)) == (1, 4, 5, 5)
    assert Box(-3, -3, 20, 5).within((9, 9)) == (0, 0, 9, 5)
