"""What a run of the comparisons is: one measured thing, named by all that it depends on, and its poisoned data."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from unpoison.attacks import ATTACKS, Attack, BadNets, Composite, PoisonedDataset
from unpoison.attacks.targets import Target
from unpoison.config import BaBConfig, PDAutoRConfig
from unpoison.data.labelled import LabelledImages
from unpoison.methods import get_method

from .data import load_images
from .scales import Scale, get_scale

VARIANTS: dict[str, Callable[[], Attack]] = {
    **ATTACKS,
    "badnets_top_left": lambda: BadNets(corner="top left"),
    "badnets_dynamic": lambda: BadNets(dynamic=True),
    # The published sources are 0 and 1; class 0 is BaB's target.
    "composite": lambda: Composite(sources=(1, 2)),
}
"""Attacks by the names that runs use."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One measured thing."""

    dataset: str
    attacks: tuple[str, ...] = ()
    """Names in `VARIANTS`; none for data without poison."""
    rate: float = 0.0
    """Fraction of the whole set that is poisoned, by all attacks together."""
    target: Target = 0
    overlap: bool = False
    """Whether all attacks stamp the same images, rather than a share of the poison each."""
    part: float = 1.0
    """Fraction of the images that is used at all."""
    method: Literal["pdautor", "bab", "detectors", "flags"] = "pdautor"
    """A method; or "detectors": PD-AutoR's and the published ones on the features of one network, restoring nothing;
    or "flags": PD-AutoR with flags that are right but for `false_positives` and `false_negatives`."""
    preset: str | None = None
    """Of the method; None for the scale's."""
    changes: tuple[tuple[str, Any], ...] = ()
    """What differs from the preset: names of settings with dots, such as "restoration.width", and values."""
    false_positives: float = 0.0
    """Fraction of the clean samples that is flagged; only for "flags"."""
    false_negatives: float = 0.0
    """Fraction of the poisoned samples that is not flagged; only for "flags"."""
    downstream: bool = True
    """Whether networks are trained on what came in and on what is served."""
    scale: str
    seed: int = 0

    def with_seed(self, seed: int) -> Self:
        """The same with another seed."""
        return dataclasses.replace(self, seed=seed)

    @property
    def file(self) -> str:
        """The name of the result's file: readable, and another one as soon as anything differs."""
        facts = json.dumps(plain_fields(self) | {"size": plain_fields(get_scale(self.scale))}, sort_keys=True)
        poison = f"{'+'.join(self.attacks)}-{100 * self.rate:g}" if self.attacks else "clean"
        digest = hashlib.sha256(facts.encode()).hexdigest()[:10]
        return f"{self.dataset}-{poison}-{self.method}-seed{self.seed}-{digest}.json"

    def config(self) -> PDAutoRConfig | BaBConfig:
        """The method's settings.

        Raises:
            ConfigError: the preset or a value is unknown or out of range.
        """
        name = "bab" if self.method == "bab" else "pdautor"
        config: PDAutoRConfig | BaBConfig = get_method(name).preset(self.preset or get_scale(self.scale).preset)
        for path, value in self.changes:
            config = changed(config, path.split("."), value)
        return config


def plain_fields(instance: Any) -> dict[str, Any]:
    """The fields of a run or scale as they come back from JSON."""
    fields: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(instance)))
    return fields


def changed(config: Any, path: list[str], value: Any) -> Any:
    """A copy of nested dataclasses with another value at the end of a path of names."""
    name, *rest = path
    return dataclasses.replace(config, **{name: changed(getattr(config, name), rest, value) if rest else value})


class Poisoned(NamedTuple):
    """The data of a run, N samples."""

    originals: LabelledImages
    """Before the attack."""
    given: LabelledImages
    poisoned: npt.NDArray[np.bool_]
    """bool [N]."""
    attacks: list[Attack]
    """Fitted."""
    num_classes: int


def load(run: Run) -> Poisoned:
    """Reads the images of a run and poisons them.

    Raises:
        DatasetError: the images are missing, or too few for the attack.
    """
    originals = load_images(run.dataset, "train", get_scale(run.scale).per_class[run.dataset], seed=0)
    if run.part < 1:
        count = round(run.part * len(originals))
        index = np.sort(np.random.default_rng(run.seed).permutation(len(originals))[:count])
        originals = LabelledImages(originals.images[index], originals.labels[index])
    num_classes = int(originals.labels.max()) + 1
    if not run.attacks:
        return Poisoned(originals, originals, np.zeros(len(originals), bool), [], num_classes)
    attacks = [VARIANTS[name]() for name in run.attacks]
    rate = run.rate if run.overlap else run.rate / len(attacks)
    dataset = PoisonedDataset(originals, attacks, rate=rate, target=run.target, seed=run.seed, overlap=run.overlap)
    return Poisoned(originals, LabelledImages.of(dataset), dataset.poisoned, attacks, num_classes)


def load_test(run: Run) -> LabelledImages:
    """The test images of a run."""
    scale: Scale = get_scale(run.scale)
    return load_images(run.dataset, "test", scale.test_per_class)
