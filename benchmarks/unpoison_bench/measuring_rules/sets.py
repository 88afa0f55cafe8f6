"""The sets as arrays: images of one shape, and what is known about them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..false_alarms import develop
from ..false_alarms.cases import Case, Poison
from ..false_alarms.loading import load
from ..shapes import Pixels, of_shape, working_shape

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LARGE = ("cifar10-10000",)
"""Sets that take as long as all others together."""
JOINED = tuple(
    Case(
        name=f"{name}+composite-5",
        half="develop",
        draw=develop.CLEAN[name],
        poison=Poison(attacks=("composite",), rate=0.05, target=0),
    )
    for name in ("cifar10-5x300-a", "cifar10-10x300-a", "gtsrb-10x150")
)
"""Joined images, which the benchmark for false alarms has not."""
CASES = {case.name: case for case in (*develop.CASES, *JOINED) if case.name not in LARGE}
"""By name: sets that methods are developed on, never others."""


class Data(NamedTuple):
    """N samples."""

    name: str
    images: Pixels
    """[N,H,W,C], as they come."""
    labels: Index
    """[N], as they come."""
    originals: Pixels
    """[N,H,W,C], before the attacks."""
    truth: Index
    """[N], labels before the attacks."""
    poisoned: Flags
    """[N]."""
    wrong: Flags
    """[N]: without poison, with a wrong label."""
    attacks: tuple[str, ...]
    """Names."""
    series: int = 1
    """So many near-duplicates of one image lie beside each other."""

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1


def load_set(case: Case) -> Data:
    """Reads and poisons a set; photographs in one size.

    Raises:
        DatasetError: a file is missing, or holds too few images.
    """
    loaded = load(case)
    shape = working_shape(loaded.given)
    given, originals = of_shape(loaded.given, shape), of_shape(loaded.originals, shape)
    return Data(
        name=case.name, images=given.images, labels=given.labels, originals=originals.images, truth=originals.labels,
        poisoned=loaded.poisoned, wrong=loaded.wrong,
        attacks=() if case.poison is None else case.poison.attacks, series=case.draw.series,
    )  # fmt: skip


def one_hot(labels: Index, classes: int) -> npt.NDArray[np.float32]:
    """float32 [N,K]: content that is known."""
    return np.eye(classes, dtype=np.float32)[labels]
