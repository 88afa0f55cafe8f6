"""How many CPU threads pay off."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import psutil
import torch

_SAMPLE_SECONDS, _EVERY_SECONDS = 0.2, 1.0


class _Load:
    """How busy the machine is with anything but this process, since the last look."""

    def __init__(self) -> None:
        self.most, self._process = torch.get_num_threads(), psutil.Process()
        self._look()

    @property
    def age(self) -> float:
        """Seconds since the last look."""
        return time.monotonic() - self._time

    def adapt(self) -> None:
        """Sets the number of threads to that of the cores that others left free since the last look, within 1..most."""
        seconds, busy, own = self.age, self._busy, self._own
        self._look()
        others = max(0.0, self._busy - busy - (self._own - own)) / max(seconds, 1e-3)
        free = round((psutil.cpu_count() or 1) - others)
        torch.set_num_threads(max(1, min(free, self.most)))

    def _look(self) -> None:
        self._time = time.monotonic()
        times, own = psutil.cpu_times(), self._process.cpu_times()
        self._busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        self._own = own.user + own.system


_load: ContextVar[_Load | None] = ContextVar("load", default=None)


@contextmanager
def free_cores() -> Iterator[None]:
    """Lets torch use at most as many threads as cores are free, until the block ends.

    Small convolutions on more threads than free cores wait for each other: on a busy machine that was measured to
    be ten times slower than one thread. Never raises the number that the user or the environment has set. Long loops
    within the block call `follow_load`, since what is free changes.
    """
    load = _Load()
    time.sleep(_SAMPLE_SECONDS)
    load.adapt()
    token = _load.set(load)
    try:
        yield
    finally:
        _load.reset(token)
        torch.set_num_threads(load.most)


def follow_load() -> None:
    """Looks once a second, within `free_cores`, how many cores are free now; elsewhere it does nothing."""
    load = _load.get()
    if load is not None and load.age >= _EVERY_SECONDS:
        load.adapt()
