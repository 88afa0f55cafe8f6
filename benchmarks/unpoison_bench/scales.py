"""How large the comparisons are: how many images, which networks, how long they train, how many seeds."""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from unpoison.errors import ConfigError
from unpoison.training.loop import TrainingConfig

from .baselines.nad import NADConfig

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """What all runs of one scale have in common."""

    name: str
    preset: str
    """Of the methods, where a run does not ask for another."""
    per_class: dict[str, int | None]
    """Training images of each class, at most, by dataset; None takes all."""
    test_per_class: int | None
    """The same of the test set, of both datasets."""
    seeds: tuple[int, ...]
    """Unless the user names others."""
    backbone: str
    """Of every network that is trained on what a method serves, or on what it was given."""
    width: int
    """Of that network."""
    training: TrainingConfig
    """Of that network; mirroring follows the papers."""
    resnet_width: int
    """Channels of the first stage where a run names its ResNet."""
    nad: NADConfig
    cyclegan_steps: int | None
    """Batches of the CycleGAN in the runs that train one; None for the paper's 100 epochs."""
    models: int
    """Verification models where their number varies; the paper has up to 20."""
    short: bool
    """Whether lists of rates, attacks and the like are cut to their ends."""

    def some(self, values: Sequence[T]) -> list[T]:
        """The values, or the first and the last of them where lists are cut."""
        return [values[0], values[-1]] if self.short and len(values) > 2 else list(values)


SCALES = {
    "smoke": Scale(
        name="smoke",
        preset="fast",
        per_class={"cifar10": 50, "gtsrb": 12},
        test_per_class=10,
        seeds=(0,),
        backbone="resnet9",
        width=4,
        training=TrainingConfig(epochs=3, batch_size=32),
        resnet_width=4,
        nad=NADConfig(
            teacher=dataclasses.replace(NADConfig().teacher, epochs=1),
            student=dataclasses.replace(NADConfig().student, epochs=2),
        ),
        cyclegan_steps=3,
        models=3,
        short=True,
    ),
    "cpu": Scale(
        name="cpu",
        preset="default",
        per_class={"cifar10": 1000, "gtsrb": 300},
        test_per_class=None,
        seeds=(0, 1),
        backbone="resnet9",
        width=16,
        training=TrainingConfig(epochs=15),
        resnet_width=16,
        nad=NADConfig(),
        cyclegan_steps=300,
        models=20,
        short=False,
    ),
    "full": Scale(
        name="full",
        preset="default",
        per_class={"cifar10": None, "gtsrb": None},
        test_per_class=None,
        seeds=(0, 1, 2),
        backbone="resnet18",
        width=64,
        training=TrainingConfig(epochs=30),
        resnet_width=64,
        nad=NADConfig(),
        cyclegan_steps=None,
        models=20,
        short=False,
    ),
}


def get_scale(name: str) -> Scale:
    """Looks a scale up.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in SCALES:
        raise ConfigError(f"unknown scale {name!r}: choose one of {', '.join(SCALES)}")
    return SCALES[name]
