"""What a set of the benchmark is, as plain data: which images, how they are changed, which attacks hit them."""

import dataclasses
from typing import Literal

Half = Literal["develop", "unseen"]
Source = Literal["cifar10", "gtsrb", "digits", "celeba", "clothing"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draw:
    """Which images are taken, and what is done to them before any attack."""

    source: Source
    rows: tuple[int, int]
    """The part of the file's rows that images are taken from: [first, behind the last)."""
    classes: tuple[int, ...] = ()
    """Class numbers in the file; the place of each is its number in the set. Empty takes rows whatever their class."""
    counts: int | tuple[int, ...]
    """Images of each class, or one number for all; without classes, images in all."""
    seed: int | None = None
    """Of the choice among the rows; None takes the first ones."""
    labels: tuple[str, ...] = ("label",)
    """The file's own labels; or ("aggregate",), those that people gave to CIFAR-10; or names of CelebA's attributes,
    whose values are the binary digits of the class number, the first one the highest."""
    merged: tuple[tuple[int, ...], ...] = ()
    """Groups of class numbers in the file that become one class each; none leaves the classes alone."""
    side: int | None = None
    """Images are resized to squares of so many pixels; None keeps their size."""
    longest: int | None = None
    """Images are shrunk, in their proportions, until no side is longer than so many pixels."""
    grey: float = 0.0
    """Share of the images that loses its colours."""
    grey_classes: tuple[int, ...] = ()
    """Classes, numbered as in the set, that lose their colours."""
    flat: tuple[int, int, int] | None = None
    """A class as numbered in the set, how many of its images become one even grey, and the level, 0..255."""
    series: int = 1
    """So many near-duplicates are made of each image: shifted by up to a pixel, a little brighter or darker."""
    tracks: bool = False
    """GTSRB: whole tracks, the frames that a camera took of one sign, instead of single images."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Poison:
    """What an attacker does to a set."""

    attacks: tuple[str, ...]
    """Names in `TRIGGERS`; several hit different images."""
    rate: float
    """Fraction of the whole set that is poisoned, by all attacks together."""
    target: int
    """The attacker's class, as numbered in the set."""
    seed: int = 0
    """Of the choice of images."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One set."""

    name: str
    half: Half
    """Methods are developed on one half; the other is looked at once, at the end."""
    draw: Draw
    poison: Poison | None = None

    @property
    def noisy(self) -> bool:
        """Whether the labels are those that people gave, right or wrong."""
        return self.draw.labels == ("aggregate",)


def clean(half: Half, draws: dict[str, Draw]) -> tuple[Case, ...]:
    """Sets without poison, by name."""
    return tuple(Case(name=name, half=half, draw=draw) for name, draw in draws.items())


def poisoned(
    half: Half, draws: dict[str, Draw], attacked: tuple[tuple[str, tuple[str, ...], float, int], ...], seed: int
) -> tuple[Case, ...]:
    """Sets with poison.

    Args:
        draws: the images, by name.
        attacked: the images' name, attacks, percent of the set and target of each.
        seed: of the choice of images.
    """
    return tuple(
        Case(
            name=f"{name}+{'+'.join(attacks)}-{percent:g}",
            half=half,
            draw=draws[name],
            poison=Poison(attacks=attacks, rate=percent / 100, target=target, seed=seed),
        )
        for name, attacks, percent, target in attacked
    )
