"""The global random states."""

import random

import torch

from unpoison.data.random_states import preserved_rng


def test_random_states_are_restored():
    random.seed(0)
    torch.manual_seed(0)
    want = random.random(), torch.rand(1).item()
    random.seed(0)
    torch.manual_seed(0)
    with preserved_rng():
        random.random()
        torch.rand(3)
    assert (random.random(), torch.rand(1).item()) == want
