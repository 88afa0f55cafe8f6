"""The rows of the benchmarks: which data, which attack, which method, which settings."""

import dataclasses
from typing import Any, NamedTuple

from unpoison import rules
from unpoison.config import PDAutoRConfig
from unpoison.errors import ConfigError
from unpoison.training.loop import TrainingConfig

SUITES = {
    "core": (
        "cifar10-badnets-1",
        "cifar10-blend-1",
        "cifar10-sig-1",
        "cifar10-clean",
        "cifar10-wanet-5",
        "cifar10-badnets-0.3",
        "cifar10-blend-0.3",
        "gtsrb-badnets-1",
        "gtsrb-wanet-2",
        "gtsrb-clean",
        "gtsrb-badnets-0.3",
        "gtsrb-blend-0.3",
        "cifar10-badnets-1-paper",
        "cifar10-blend-1-paper",
        "cifar10-sig-1-paper",
    ),
    "bab": (
        "cifar10-badnets-5",
        "cifar10-blend-10",
        "cifar10-sig-5",
        "cifar10-clean",
        "cifar10-badnets+blend-50",
        "cifar10-badnets-1",
        "cifar10-blend-1",
        "cifar10-badnets-5-paper",
        "cifar10-blend-10-paper",
        "cifar10-sig-5-paper",
        "cifar10-clean-paper",
    ),
}
"""Names by suite. The paper's rows come last: those of "core" take their network and training from the default's."""
METHODS = {"core": "pdautor", "bab": "bab"}
"""The method that each suite measures."""

MUCH = 0.1
"""Poison, as a fraction of the whole set of ten classes, that makes up half of its target class."""
PAPER_STEPS, PAPER_WIDTH, PAPER_DEPTH = 300, 16, 2


class Source(NamedTuple):
    """A dataset as the benchmark uses it."""

    per_class: int
    """Training images of each class, at most."""
    target: int
    """The attacker's class."""


SOURCES = {"cifar10": Source(per_class=1000, target=0), "gtsrb": Source(per_class=300, target=1)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What a row's name says: `{dataset}-clean[-paper]` or `{dataset}-{attacks}-{percent of the whole set}[-paper]`.

    Several attacks, joined by "+", share the poison evenly and hit different images.
    """

    suite: str
    name: str
    dataset: str
    attacks: tuple[str, ...]
    rate: float
    """Fraction of the whole set that is poisoned, by all attacks together."""
    paper: bool
    """Whether the paper's algorithm runs instead of the preset."""

    @classmethod
    def named(cls, suite: str, name: str) -> "Row":
        """Looks a row up.

        Raises:
            ConfigError: there is no such row.
        """
        if name not in SUITES[suite]:
            raise ConfigError(f"unknown row {name!r}: choose among {', '.join(SUITES[suite])}")
        dataset, attacks, *rest = name.removesuffix("-paper").split("-")
        return cls(
            suite=suite,
            name=name,
            dataset=dataset,
            attacks=() if attacks == "clean" else tuple(attacks.split("+")),
            rate=float(rest[0]) / 100 if rest else 0.0,
            paper=name.endswith("-paper"),
        )

    @property
    def method(self) -> str:
        """The method that cleans."""
        return METHODS[self.suite]

    @property
    def max_altered(self) -> float:
        """See `SanitizedDataset`: no limit where poison is half of a class or more, or the paper's algorithm flags as
        much as it likes."""
        return 1.0 if self.paper or self.rate >= MUCH else rules.MAX_ALTERED

    @property
    def default(self) -> str:
        """Name of the row on the same data that the preset cleans."""
        return self.name.removesuffix("-paper")


def paper_config(chosen: dict[str, Any] | None) -> tuple[PDAutoRConfig, list[str]]:
    """The paper's algorithm at the cost of the default, and how it differs from what was published.

    Args:
        chosen: `report.config["chosen"]` of the default's row on the same data; None where that was not measured.
    """
    if chosen is None:
        backbone, width, training, whose = "resnet9", 16, TrainingConfig(epochs=15, flip=True), "assumed"
    else:
        backbone, width, training = chosen["backbone"], chosen["width"], TrainingConfig(**chosen["training"])
        whose = "of the default's row"
    paper = PDAutoRConfig.preset("paper")
    config = dataclasses.replace(
        paper,
        detection=dataclasses.replace(paper.detection, backbone=backbone, width=width, training=training),
        restoration=dataclasses.replace(
            paper.restoration, cyclegan_max_steps=PAPER_STEPS, width=PAPER_WIDTH, transformer_depth=PAPER_DEPTH
        ),
    )
    published = paper.detection.training
    assert published is not None
    return config, [
        f"network and training {whose}: {backbone} of width {width}, {training.epochs} epochs of {training.schedule} "
        f"at rate {training.learning_rate} (published: {paper.detection.backbone} of width {paper.detection.width}, "
        f"{published.epochs} epochs of {published.schedule} at rate {published.learning_rate})",
        f"CycleGAN: {PAPER_STEPS} batches, width {PAPER_WIDTH}, transformer depth {PAPER_DEPTH} "
        f"(published: {paper.restoration.cyclegan_epochs} epochs)",
    ]
