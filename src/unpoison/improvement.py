"""PD-AutoR's verifiable improvement (section 4): the same training with and without cleaning, seed by seed."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .attacks import Attack
from .attacks.targets import Target
from .checks import Device, Seeds, checked
from .config import PDAutoRConfig
from .context import Context
from .data.access import RawView
from .data.decoding import read_images
from .data.labelled import LabelledImages
from .data.survey import Survey, common_size
from .data.surveying import survey
from .detection.choice import Choice, choose
from .downstream import Predict, measure_predictions, predictions, train_model
from .errors import ConfigError, DatasetError
from .progress import Progress
from .training.devices import best_device
from .training.threads import free_cores

Train = Callable[[Any, int], Predict]
"""Trains a classifier on a dataset, from a seed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """What one set of training data leads to; one value per seed, in 0..1."""

    accuracy: list[float]
    """On the test set."""
    asr: list[float]
    """Attack success rate; empty where no trigger was given."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Improvement:
    """What cleaning did to a classifier."""

    seeds: list[int]
    """One training of each arm for each."""
    before: Arm
    """Trained on the data as they came."""
    after: Arm
    """Trained on the cleaned data."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def as_text(self) -> str:
        """Means over the seeds, ± standard deviation where there are several."""
        arms = dataclasses.asdict(self.before), dataclasses.asdict(self.after)
        lines = [f"{'':20}{'as it came':>20}{'cleaned':>20}{'difference':>20}"]
        for key, name in (("accuracy", "accuracy"), ("asr", "attack success rate")):
            before, after = (arm[key] for arm in arms)
            if before:
                change = [new - old for old, new in zip(before, after, strict=True)]
                lines.append(f"{name:20}{_spread(before):>20}{_spread(after):>20}{_spread(change, '+'):>20}")
        better = sum(new > old for old, new in zip(self.before.accuracy, self.after.accuracy, strict=True))
        lines.append(f"accuracy is higher after cleaning for {better} of {len(self.seeds)} seeds")
        return "\n".join(lines)


def _spread(values: Sequence[float], sign: str = "") -> str:
    mean = f"{100 * statistics.fmean(values):{sign}.1f}"
    return f"{mean} ± {100 * statistics.stdev(values):.1f} %" if len(values) > 1 else f"{mean} %"


@checked
def compare(
    before: Any,
    after: Any,
    test: Any,
    *,
    train: Train | None = None,
    attack: Attack | None = None,
    target: Target = 0,
    seeds: Seeds = (0, 1, 2),
    device: Device | None = None,
    progress: bool | None = None,
) -> Improvement:
    """Trains one classifier on the data as they came and on the cleaned data, and measures both.

    Both see the same number of epochs and start from the same seeds. Nobody has to trust the cleaning: the test set
    decides.

    Args:
        before: the dataset as it came, map-style.
        after: the same after cleaning: a `SanitizedDataset`, or its shards as a dataset.
        test: held-out data that is trusted.
        train: trains your classifier on either dataset from a seed, and returns a function from raw test images,
            uint8 [N,H,W,C] (of their own size, where all agree), to class numbers, int64 [N]. A small network of
            unpoison's when None.
        attack: stamps the trigger on test images, to measure the attack success rate.
        target: the class number that the trigger's author wants, or "all-to-all".
        seeds: one training of each kind for each.
        device: of the small network; a GPU where there is one when None.
        progress: True shows bars on stderr, False is silent, None shows them on a terminal and in a notebook.

    Raises:
        ConfigError: there is no seed, the device is unknown, or the attack learns from data and was not fitted.
        DatasetError: a dataset cannot be read, or the test set has classes that the data have not.
    """
    if not seeds:
        raise ConfigError("no seed is given: give at least one")
    if attack is not None and not attack.fitted:
        raise ConfigError(f"{attack.name} learns from data: fit it, or take that of the PoisonedDataset")
    given = _look(before)
    trusted = _look_at_test(test, given)
    arms: tuple[Any, Any] = before, after
    if train is None:
        size, channels = given.found.working_size, given.found.channels
        cleaned = _look(after, given.found.names)
        arms = given.images(size, channels), cleaned.images(size, channels)
        held_out = trusted.images(size, channels)
        train = _small_network(*arms, best_device() if device is None else torch.device(device))
    else:
        sizes = trusted.found.sizes
        held_out = trusted.images(common_size(sizes, int(sizes.max())), trusted.found.channels)
    found: list[Arm] = []
    for name, arm in zip(("train on the data as they came", "train on the cleaned data"), arms, strict=True):
        found.append(Arm(accuracy=[], asr=[]))
        with Progress(progress).stage(name) as bar:
            for number, seed in enumerate(seeds, 1):
                _measure(train(arm, seed), held_out, attack, target, found[-1])
                bar.update(number / len(seeds))
    return Improvement(seeds=list(seeds), before=found[0], after=found[1])


class _Seen(NamedTuple):
    """A dataset of which nothing is decoded yet."""

    view: RawView
    found: Survey
    labels: npt.NDArray[np.int64]
    """int64 [N]; class numbers, where both name their classes those of the data as they came."""

    def images(self, size: tuple[int, int], channels: int) -> LabelledImages:
        """All of it, decoded into memory."""
        found = dataclasses.replace(self.found, channels=channels)
        return LabelledImages(read_images(self.view, found, range(len(self.view)), size), self.labels)


def _look(dataset: Any, names: list[str] | None = None) -> _Seen:
    view = RawView(dataset)
    found = survey(view)
    if found.names is None or names is None:
        return _Seen(view, found, found.labels)
    unknown = sorted(set(found.names) - set(names))
    if unknown:
        raise DatasetError(f"classes {', '.join(unknown)} are not among those of the data as they came")
    return _Seen(view, found, np.array([names.index(name) for name in found.names], np.int64)[found.labels])


def _look_at_test(test: Any, given: _Seen) -> _Seen:
    """The held-out data.

    Raises:
        DatasetError: they have classes that the data as they came have not.
    """
    trusted = _look(test, given.found.names)
    if not np.isin(trusted.labels, given.labels).all():
        unknown = np.setdiff1d(trusted.labels, given.labels).tolist()
        raise DatasetError(f"the test set has classes {unknown} that the data have not: leave them out")
    return trusted


def _small_network(before: LabelledImages, after: LabelledImages, device: torch.device) -> Train:
    """Trains what the default of PD-AutoR would train on the data as they came, whatever it is given."""
    # A network numbers classes without gaps, however large the datasets' own numbers are.
    classes = np.unique(np.concatenate([before.labels, after.labels]))
    config = PDAutoRConfig.preset("default").detection
    numbers = np.searchsorted(classes, before.labels)
    choice: Choice = choose(config, before.images, numbers, len(classes), Context(device))

    def train(given: LabelledImages, seed: int) -> Predict:
        with free_cores():
            model = train_model(
                LabelledImages(given.images, np.searchsorted(classes, given.labels)), len(classes), choice.training,
                backbone=choice.backbone, width=choice.width, seed=seed, device=device,
            )  # fmt: skip
        predict = predictions(model, device)
        return lambda images: classes[predict(images)]

    return train


def _measure(predicted: Predict, test: LabelledImages, attack: Attack | None, target: Target, arm: Arm) -> None:
    """Adds what one classifier reaches to an arm.

    Raises:
        DatasetError: the test set has no image that is attacked.
    """
    attacks = [] if attack is None else [attack]
    measured = measure_predictions(predicted, test, attacks, [target] * len(attacks))
    assert measured.accuracy is not None
    arm.accuracy.append(measured.accuracy)
    if attack is not None:
        if measured.attack_success_rate is None:
            raise DatasetError(f"the test set has no image that {attack.name} attacks: add other classes")
        arm.asr.append(measured.attack_success_rate)
