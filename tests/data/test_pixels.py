"""8-bit pixels."""

import numpy as np

from unpoison.data.pixels import resize


def test_resize_keeps_channels():
    assert resize(np.zeros((10, 20, 1), np.uint8), 5, 8).shape == (5, 8, 1)
    assert resize(np.zeros((10, 20, 3), np.uint8), 5, 8).shape == (5, 8, 3)
