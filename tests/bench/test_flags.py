"""Flags that are put in by hand."""

import numpy as np

from unpoison_bench.flags import false_flags


def test_false_flags_are_as_many_as_asked_for():
    poisoned = np.arange(1000) < 100
    flagged = false_flags(poisoned, 0.02, 0.08, seed=0)
    assert (flagged[poisoned].sum(), flagged[~poisoned].sum()) == (92, 18)
    assert np.array_equal(false_flags(poisoned, 0, 0, seed=0), poisoned)
