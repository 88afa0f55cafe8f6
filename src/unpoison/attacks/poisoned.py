"""A dataset with poison of known place, to test and to show what the methods do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import Seed, Within, checked
from ..data.access import RawView
from ..data.decoding import read_images
from ..data.eight_bit import from_eight_bit, to_eight_bit
from ..data.items import label_like
from ..data.record import Record
from ..data.served import Replacement
from ..data.survey import Survey, common_size
from ..data.surveying import survey
from ..errors import ConfigError, DatasetError
from ..keep import KEEP
from .base import Attack, Flags, Images, Labels
from .targets import Target, split_targets, wanted_labels


@checked
class PoisonedDataset(Replacement):
    """Wraps a map-style dataset and poisons a random part of it, before its transforms.

    Attacks that change labels take images of other classes and give them the target label; clean-label attacks take
    images of the target class; `Composite` takes images of its first source class.

    Args:
        dataset: any dataset that `SanitizedDataset` takes.
        attack: one attack, or several. Those that learn from the dataset and were not fitted yet are fitted in place,
            so that they stamp test images as they stamped these.
        rate: fraction of the whole dataset that each attack poisons.
        target: the class number that the attacker wants, or "all-to-all": the next class for each class; or a
            sequence with one of these per attack.
        seed: of the choice of images.
        overlap: whether several attacks may hit the same image; if so, all stamp as many of the same images as they
            can, in the order given. If not, their images are disjoint.

    Attributes:
        attacks: the attacks, fitted.
        poisoned: bool [N].
        covered: bool [N]; stamped images that keep their right labels, for attacks that use such covers. They are not
            `poisoned`, and no two attacks share one.
        clean_label: int64 [N], original class numbers.
        levels: the value of white in images that are not uint8.
        target: as given.

    Raises:
        ConfigError: rate or target is out of range or unfit for an attack, there is no attack, or attacks of different
            targets may overlap.
        DatasetError: the dataset has too few images that the attack can use.
    """

    def __init__(
        self,
        dataset: Any,
        attack: Attack | Sequence[Attack],
        rate: Within = 0.01,
        target: Target | Sequence[Target] = 0,
        seed: Seed = 0,
        *,
        overlap: bool = False,
    ) -> None:
        self.attacks = [attack] if isinstance(attack, Attack) else list(attack)
        if not self.attacks:
            raise ConfigError("there is no attack: give at least one")
        targets = split_targets(target, len(self.attacks))
        if overlap and len(set(targets)) > 1:
            raise ConfigError(f"an image has one label: give one target instead of {targets}, or set overlap=False")
        self.dataset, self.target = dataset, target
        self._view = RawView(dataset)
        found = survey(self._view)
        self.clean_label: Labels = found.labels
        self.levels, self._names = found.levels, found.names
        self._texts = found.names if found.text_labels else None
        wanted = [self._wanted(attack, target) for attack, target in zip(self.attacks, targets, strict=True)]
        stamped = _choose(self.attacks, found.labels, wanted, rate, seed, overlap)
        self.poisoned: Flags = np.any(stamped, axis=0)
        covers = _choose_covers(self.attacks, stamped, seed)
        self.covered: Flags = np.any(covers, axis=0)
        self._stamped = stamped | covers
        self._label = found.labels.copy()
        for labels, hit in zip(wanted, stamped, strict=True):
            self._label[hit] = labels[hit]
        for attack in self.attacks:
            if not attack.fitted:
                attack.fit(self._images(found, attack.needed(found.labels)))

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
        labels: list[int] = self._label.tolist()
        return labels

    def __len__(self) -> int:
        return len(self._view)

    def _sample(self, position: int) -> tuple[Record, Any, Any]:
        record = self._view.read(position)
        if not self._stamped[:, position].any():
            return record, KEEP, KEEP
        pixels = to_eight_bit(record.image, self.levels).colour
        for attack, stamped in zip(self.attacks, self._stamped, strict=True):
            if stamped[position]:
                pixels = attack(pixels[None])[0]
        label = KEEP
        if self._label[position] != self.clean_label[position]:
            number = int(self._label[position])
            label = label_like(number if self._texts is None else self._texts[number], record.label)
        return record, from_eight_bit(pixels, record.image, self.levels), label

    def _wanted(self, attack: Attack, target: Target) -> Labels:
        """int64 [N]: the labels that an attack gives to the images it poisons."""
        if target == "all-to-all" and attack.clean_label:
            raise ConfigError(f"{attack.name} leaves labels alone, which all-to-all changes: give a class number")
        labels = wanted_labels(target, self.clean_label)
        if not np.isin(labels, self.clean_label).all():
            raise ConfigError(f"no image has target {target}: choose one of {np.unique(self.clean_label).tolist()}")
        return labels

    def _images(self, found: Survey, positions: npt.NDArray[np.int64]) -> Images:
        """uint8 [M,H,W,C]: images of one size, their own where all agree."""
        return read_images(self._view, found, positions.tolist(), common_size(found.sizes, int(found.sizes.max())))


def _choose(
    attacks: list[Attack], labels: Labels, wanted: list[Labels], rate: float, seed: int, overlap: bool
) -> Flags:
    """bool [A,N]: which attack poisons which image, given the labels that each attack wants."""
    count = round(rate * len(labels))
    if count == 0:
        raise ConfigError(f"rate {rate} of {len(labels)} images is none: raise the rate")
    order = np.random.default_rng(seed).permutation(len(labels))
    stamped = np.zeros((len(attacks), len(labels)), bool)
    for number, (attack, targets) in enumerate(zip(attacks, wanted, strict=True)):
        usable = attack.usable(labels, targets)
        if not overlap:
            usable &= ~stamped.any(0)
        chosen = order[usable[order]][:count]
        if len(chosen) < count:
            raise DatasetError(
                f"{attack.name} needs {count} images that it can poison, there are {len(chosen)}: lower the rate"
            )
        stamped[number, chosen] = True
    return stamped


def _choose_covers(attacks: list[Attack], poisoned: Flags, seed: int) -> Flags:
    """bool [A,N]: which attack stamps which image without changing its label, given which it poisons."""
    free = np.random.default_rng(seed).permutation(np.flatnonzero(~poisoned.any(0)))
    covers = np.zeros_like(poisoned)
    for attack, poison, cover in zip(attacks, poisoned, covers, strict=True):
        count = round(attack.covers * poison.sum())
        if len(free) < count:
            raise DatasetError(f"{attack.name} needs {count} images as covers, there are {len(free)}: lower the rate")
        cover[free[:count]] = True
        free = free[count:]
    return covers
