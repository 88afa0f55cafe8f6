"""What a detector is: features in, a verdict out."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import wraps
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError

MARGIN = 1.5
"""Tran et al. (2018) and Hayase et al. (2021) remove this many times the number of poisoned samples."""

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int64]


class Verdict(NamedTuple):
    """What a detector says about N samples."""

    score: npt.NDArray[np.float32]
    """float32 [N]; higher is more suspicious, also across classes."""
    flagged: npt.NDArray[np.bool_]
    """bool [N]; the detector's own decision."""


Detect = Callable[[Features, Labels, float], Verdict]
"""(features float32 [N,D], labels int64 [N], rate) to `Verdict`; the rate is the true share of poison in the whole
dataset, which only the detectors that assume to know it use. Raises `ConfigError` for other input."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detector:
    """A detector that works on the penultimate activations of a network that was trained on the suspect data.

    Registered by `register_detector`, or named by an installed package in the entry point group
    `unpoison.detectors`, it is a method: `SanitizedDataset(data, method=name)`.
    """

    name: str
    """Of the method."""
    detect: Detect
    """Maps features and labels to a verdict."""
    source: str
    """The paper."""
    told: bool = False
    """Whether it uses the rate: then it flags as much in clean data."""
    version: str = ""
    """Part of the keys under which its finds are cached: to be changed whenever they change."""

    def verdict(self, features: Features, labels: Labels, rate: float) -> Verdict:
        """What it says, which may come from another package.

        Raises:
            ConfigError: that is no verdict.
        """
        said = self.detect(features, labels, rate)
        for name, kind in (("score", np.floating), ("flagged", np.bool_)):
            array = np.asarray(getattr(said, name, None))
            if not np.issubdtype(array.dtype, kind) or array.shape != labels.shape or not np.isfinite(array).all():
                raise ConfigError(
                    f"detector {self.name!r} must return a Verdict with a finite score, float32 [{len(labels)}], and "
                    f"flagged, bool [{len(labels)}]; its {name} is {array.dtype} {list(array.shape)}"
                )
        return said


def checked(detect: Detect) -> Detect:
    """Refuses input that is not as `Detect` says, before a detector sees it."""

    @wraps(detect)
    def run(features: Features, labels: Labels, rate: float) -> Verdict:
        if features.dtype != np.float32 or features.ndim != 2 or not features.size:
            raise ConfigError(f"features must be float32 [N,D], got {features.dtype} {list(features.shape)}")
        if labels.dtype != np.int64 or labels.shape != features.shape[:1]:
            raise ConfigError(f"labels must be int64 [{len(features)}], got {labels.dtype} {list(labels.shape)}")
        if not np.isfinite(features).all():
            raise ConfigError("features must be finite: train the network with a lower learning rate")
        if not 0 < rate < 0.5:
            raise ConfigError(f"rate must lie between 0 and 0.5, got {rate}")
        return detect(features, labels, rate)

    return run


def classes(labels: Labels) -> Iterator[Positions]:
    """The positions of each class's samples, int64 [n], in the order of the classes."""
    for label in np.unique(labels):
        yield np.flatnonzero(labels == label)


def removed(rate: float, count: int) -> int:
    """How many of `count` samples are removed where the rate of poison is known: 1.5 ε."""
    return max(1, round(MARGIN * rate * count))


def highest(score: npt.NDArray[np.floating], members: Positions, count: int) -> Positions:
    """The members with the highest scores, at most `count`; score [N], members int64 [n]."""
    return members[np.argsort(-score[members], kind="stable")[:count]]


def between(points: npt.NDArray[np.floating], start: npt.NDArray[np.floating], end: npt.NDArray[np.floating]) -> (
    npt.NDArray[np.float64]
):  # fmt: skip
    """How far along the line from one point to another, [D], others lie, [n,D]: 0 at the start, 1 at the end."""
    line = end - start
    place: npt.NDArray[np.float64] = (points - start) @ line / max(float(line @ line), 1e-12)
    return place
