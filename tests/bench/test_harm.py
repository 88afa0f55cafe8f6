"""What happened to clean samples and to wrong labels."""

import dataclasses

import numpy as np
import pytest

from unpoison_bench.harm import harm, noise


def test_harm_counts_clean_samples_only(cleaning):
    nobody = np.zeros(6, bool)
    found = harm(cleaning.report, cleaning.poisoned, nobody)
    assert (found["clean"], found["clean_flagged"], found["clean_flagged_share"], found["clean_altered"]) == (
        2,
        1,
        0.5,
        1,
    )
    assert (found["worst_class"], found["worst_class_altered_share"]) == (1, 0.5)
    wrong = np.arange(6) == 4
    found = harm(cleaning.report, cleaning.poisoned, wrong)
    assert (found["clean"], found["clean_flagged"], found["worst_class_altered_share"]) == (1, 0, 0.0)


def test_worst_class_counts_drops(cleaning):
    # Without any poison, class 0 has 0..3, of which three are altered, class 1 has 4 and 5, of which one is.
    found = harm(cleaning.report, np.zeros(6, bool), np.zeros(6, bool))
    assert (found["worst_class"], found["worst_class_altered_share"]) == (0, 0.75)


def test_noise_counts_what_is_flagged_apart_from_poison(cleaning):
    kinds = np.array(["backdoor", "mislabelled", "mislabelled", "", "backdoor", ""])
    wrong, poison = np.arange(6) == 1, np.arange(6) == 0
    found = noise(dataclasses.replace(cleaning.report, kind=kinds), poison, wrong)
    assert (found["wrong"], found["wrong_flagged"], found["called_backdoor"]) == (1, 1, 1)
    assert found["flagged_wrong_share"] == pytest.approx(1 / 3)
