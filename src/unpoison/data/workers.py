"""Items that pass through a function, in worker processes where there are many."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from ..errors import UnpoisonError, UnreadableError
from ..progress import Bar
from .access import RawView
from .item_errors import naming_item, without_frames

_BATCH, _SMALL = 64, 2000


def over_items(
    view: RawView,
    positions: npt.NDArray[np.int64],
    function: Callable[[RawView, int], Any],
    num_workers: int | None,
    bar: Bar | None,
) -> Iterator[Any]:
    """What a function gives for the items at some positions, or the `UnreadableError` that it raises there."""
    loader: DataLoader[Any] = DataLoader(
        _Mapped(view, positions, function),  # type: ignore[arg-type]
        batch_size=_BATCH,
        num_workers=_workers(len(positions)) if num_workers is None else num_workers,
        collate_fn=_as_is,
        worker_init_fn=_end_with_parent,
        # A generator of its own leaves the global random state alone.
        generator=torch.Generator(),
    )
    for number, batch in enumerate(loader, 1):
        for result in batch:
            if isinstance(result, UnpoisonError) and not isinstance(result, UnreadableError):
                raise result
            yield result
        if bar is not None:
            bar.update(number / len(loader))


class _Mapped:
    """Items of a view, each passed through a function; errors come back as values, with their message intact."""

    def __init__(
        self, view: RawView, positions: npt.NDArray[np.int64], function: Callable[[RawView, int], Any]
    ) -> None:
        self.view, self.positions, self.function = view, positions, function

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, place: int) -> Any:
        index = int(self.positions[place])
        try:
            with naming_item(index):
                return self.function(self.view, index)
        except UnreadableError as error:
            return without_frames(error)
        except UnpoisonError as error:
            return error


def _as_is(batch: list[Any]) -> list[Any]:
    return batch


def _end_with_parent(_: int) -> None:
    """Ends a worker whose parent was killed: blocked on a full pipe, it would stay forever and keep open files."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _workers(count: int) -> int:
    # Daemonic processes, such as DataLoader workers, may not have children.
    if multiprocessing.current_process().daemon or count < _SMALL:
        return 0
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
