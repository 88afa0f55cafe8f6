"""A dataset with poison of known place, to test and to show what the methods do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.access import KEEP, RawView, Record
from ..data.items import class_of, label_like
from ..data.pixels import from_eight_bit, to_eight_bit
from ..data.served import Replacement
from ..data.store import survey
from ..errors import ConfigError, DatasetError
from .base import Attack


class PoisonedDataset(Replacement):
    """Wraps a map-style dataset and poisons a random part of it, before its transforms.

    Attacks that change labels take images of other classes and give them the target label; clean-label attacks take
    images of the target class.

    Args:
        dataset: any dataset that `SanitizedDataset` takes.
        attack: one attack, or several.
        rate: fraction of the whole dataset that each attack poisons.
        target: the class number that the attacker wants.
        seed: of the choice of images.
        overlap: whether several attacks may hit the same image; if so, all stamp as many of the same images as they
            can, in the order given. If not, their images are disjoint.

    Attributes:
        poisoned: bool [N].
        clean_label: int64 [N], original class numbers.

    Raises:
        ConfigError: rate or target is out of range, or there is no attack.
        DatasetError: the dataset has too few images that the attack can use.
    """

    def __init__(
        self,
        dataset: Any,
        attack: Attack | Sequence[Attack],
        rate: float = 0.01,
        target: int = 0,
        seed: int = 0,
        *,
        overlap: bool = False,
    ) -> None:
        self.attacks = [attack] if isinstance(attack, Attack) else list(attack)
        if not self.attacks or not 0 < rate < 1:
            raise ConfigError(f"need an attack and 0 < rate < 1, got {len(self.attacks)} attacks and rate {rate}")
        self.dataset = dataset
        self._view = RawView(dataset)
        found = survey(self._view)
        if target not in found.labels:
            raise ConfigError(f"no image has target {target}: choose one of {np.unique(found.labels).tolist()}")
        self.target, self._levels = target, found.levels
        self._target_label: int | str = found.names[target] if found.text_labels and found.names else target
        self.clean_label: npt.NDArray[np.int64] = found.labels
        self._stamped = _choose(self.attacks, found.labels, target, rate, seed, overlap)
        self.poisoned: npt.NDArray[np.bool_] = np.any(self._stamped, axis=0)
        self._names = found.names

    @property
    def clean(self) -> Any:
        """The wrapped dataset: `clean[i]` is the original item."""
        return self.dataset

    @property
    def classes(self) -> list[str]:
        """Names of the classes by number.

        Raises:
            AttributeError: the wrapped dataset does not name its classes.
        """
        if self._names is None:
            raise AttributeError(f"{type(self.dataset).__name__} does not name its classes")
        return self._names

    @property
    def targets(self) -> list[int]:
        """Class numbers with the poisoned ones in place."""
        return [int(label) for label in np.where(self.poisoned, self.target, self.clean_label)]

    def __len__(self) -> int:
        return len(self._view)

    def _sample(self, position: int) -> tuple[Record, Any, Any]:
        record = self._view.read(position)
        if not self.poisoned[position]:
            return record, KEEP, KEEP
        pixels = to_eight_bit(record.image, self._levels).colour
        for attack, stamped in zip(self.attacks, self._stamped, strict=True):
            if stamped[position]:
                pixels = attack(pixels[None])[0]
        same = class_of(record.label) == self._target_label
        label = KEEP if same else label_like(self._target_label, record.label)
        return record, from_eight_bit(pixels, record.image, self._levels), label


def _choose(
    attacks: list[Attack], labels: npt.NDArray[np.int64], target: int, rate: float, seed: int, overlap: bool
) -> npt.NDArray[np.bool_]:
    """bool [A,N]: which attack poisons which image."""
    count = round(rate * len(labels))
    if count == 0:
        raise ConfigError(f"rate {rate} of {len(labels)} images is none: raise the rate")
    order = np.random.default_rng(seed).permutation(len(labels))
    stamped = np.zeros((len(attacks), len(labels)), bool)
    for number, attack in enumerate(attacks):
        usable = (labels == target) == attack.clean_label
        if not overlap:
            usable &= ~stamped.any(0)
        chosen = order[usable[order]][:count]
        if len(chosen) < count:
            whose = "of" if attack.clean_label else "outside"
            raise DatasetError(
                f"{attack.name} needs {count} images {whose} class {target}, there are {len(chosen)}: lower the rate"
            )
        stamped[number, chosen] = True
    return stamped
