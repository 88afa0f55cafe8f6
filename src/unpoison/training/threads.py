"""How many CPU threads pay off."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

_SAMPLE_SECONDS = 0.2


@contextmanager
def free_cores() -> Iterator[None]:
    """Lets torch use at most as many threads as cores are free now, until the block ends.

    Small convolutions on more threads than free cores wait for each other: on a busy machine that was measured to
    be ten times slower than one thread. Never raises the number that the user or the environment has set.
    """
    before = torch.get_num_threads()
    busy = psutil.cpu_percent(interval=_SAMPLE_SECONDS) / 100
    free = round((psutil.cpu_count() or 1) * (1 - busy))
    torch.set_num_threads(max(1, min(free, before)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
