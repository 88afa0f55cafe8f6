"""How far repaired photographs are from their originals."""

import numpy as np
import pytest

from unpoison_bench.photographs.errors import Repaired, repair_errors


def photograph(height, stamped, given, served, around=0):
    """Grey 100 of 4 columns; two pixels are stamped, and served so; the others differ by `around` as they come."""
    original = np.full((height, 4, 3), 100, np.uint8)
    versions = [original.copy() for _ in range(3)]
    for pixels, value in zip(versions, (stamped, given, served), strict=True):
        pixels[0, :2] = value
    for pixels in versions[1:]:
        pixels[1:] += around
    return Repaired(original, *versions)


def test_errors_are_pooled_over_photographs_of_any_size():
    errors = repair_errors(iter([photograph(2, 200, 190, 110), photograph(5, 200, 180, 130, around=1)]))
    assert errors["error_changed"] == pytest.approx(20 / 255)
    assert errors["error_changed_nothing"] == pytest.approx(85 / 255)
    assert errors["error_changed_ratio"] == pytest.approx(20 / 85)
    # 6 and 18 pixels are elsewhere, of which 16 are off by 1.
    assert errors["error_elsewhere"] == errors["error_elsewhere_nothing"] == pytest.approx(16 / 24 / 255)
    assert (errors["error_elsewhere_added"], errors["touched_elsewhere"]) == (0, 0)
    assert errors["changed_pixels_share"] == pytest.approx(4 / 28)
    assert errors["apd"] == pytest.approx((2 * 10 + 2 * 30 + 16) / 28 / 255)
    assert errors["apd_nothing"] == pytest.approx((2 * 90 + 2 * 80 + 16) / 28 / 255)


def test_what_repair_does_elsewhere_shows():
    one = photograph(2, 200, 200, 100)
    one.served[1, 3] = 112
    errors = repair_errors([one])
    assert errors["error_changed"] == 0
    assert errors["error_elsewhere_added"] == pytest.approx(12 / 6 / 255)
    assert errors["touched_elsewhere"] == pytest.approx(1 / 6)


def test_nothing_restored_has_no_errors():
    assert set(repair_errors([]).values()) == {None}
