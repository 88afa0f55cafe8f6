"""The labels that an attacker wants."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..checks import Whole
from ..errors import ConfigError
from .base import Labels

Target = Whole | Literal["all-to-all"]
"""A class number, or the next class for every class: (y + 1) mod K for labels y in 0..K-1 (Gu et al., 2017)."""


def split_targets(target: Target | Sequence[Target], attacks: int) -> list[Target]:
    """One target per attack.

    Raises:
        ConfigError: there is another number of targets than of attacks.
    """
    targets: list[Target]
    targets = [target] * attacks if isinstance(target, str) or not isinstance(target, Sequence) else [*target]
    if len(targets) != attacks:
        raise ConfigError(f"got {len(targets)} targets for {attacks} attacks: give one for all, or one for each")
    return targets


def wanted_labels(target: Target, labels: Labels) -> Labels:
    """int64 [N]: what images with these labels shall be classified as; class numbers may have gaps.

    Raises:
        ConfigError: the target is neither an integer nor "all-to-all".
    """
    if target == "all-to-all":
        classes, places = np.unique(labels, return_inverse=True)
        following: Labels = np.roll(classes, -1)[places]
        return following
    if not isinstance(target, int | np.integer):
        raise ConfigError(f'unknown target {target!r}: give a class number or "all-to-all"')
    return np.full(len(labels), target, np.int64)
