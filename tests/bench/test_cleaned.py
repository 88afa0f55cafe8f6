"""What is measured of a run that cleans, on made-up cleanings."""

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from unpoison.stages import stages
from unpoison_bench import cleaned


def test_sheet_has_originals_poisoned_and_restored_images(cleaning):
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(cleaned.sheet(cleaning)))))
    assert pixels.shape == (3 * 8, 2 * 8, 3)
    # The corner that was poisoned, of both restored images.
    assert pixels[7::8, 7::8, 0].tolist() == [[100, 100], [200, 200], [110, 130]]
    assert cleaned.sheet(dataclasses.replace(cleaning, poisoned=np.zeros(6, bool))) is None


def test_apd_and_lra_count_what_was_restored_by_mistake(cleaning):
    found = cleaned.labels(cleaning)
    # Restored: samples 0 and 1 (off by 10 and 30 in one pixel) and the clean sample 4; label 0 of sample 1 is wrong.
    assert found["apd_all"] == pytest.approx(40 / 255 / 64 / 3)
    assert found["lra_all"] == pytest.approx(2 / 3)


def test_fewer_models_keep_more():
    votes = np.array([[True, True], [True, False], [False, True], [True, True]])
    found = cleaned.by_models(votes, np.array([False, False, True, True]))
    assert found["1"] == {"cdr": 1.0, "pdr": 0.5, "clean": 2, "residual": 1}
    assert found["2"] == {"cdr": 0.5, "pdr": 0.5, "clean": 1, "residual": 1}
    assert cleaned.by_models(np.zeros((0, 0), bool), np.zeros(4, bool)) == {}


def test_every_stage_has_a_column():
    own = {stage.name for stage in stages() if stage.run.__module__.startswith("unpoison")}
    assert own <= {*cleaned.STAGES, *cleaned.FILES}
