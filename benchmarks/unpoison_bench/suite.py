"""The experiments `core` and `bab`: detection, restoration and cost on CIFAR-10 and GTSRB."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from unpoison.errors import ConfigError
from unpoison.methods import get_method
from unpoison.sanitizer import Sanitizer

from .data import images_file
from .experiment import Experiment, Published, Unit, publish_folders
from .measure import Job, measure
from .results import Measures, read_json
from .rows import METHODS, SUITES, Row, paper_config
from .suite_table import table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite(Experiment):
    """Measures rows into `{out}/{suite}-{device}-seed{seed}/{row}.json`, and puts all of a folder into a table beside
    it.

    A seed is of the poison, the cleaning and the small networks.
    """

    suite: str
    """One of `SUITES`."""
    preset: str = "default"
    """Of the suite's method; the paper's rows have their own."""
    per_class: int | None = None
    """At most this many images of each class, in both splits, for a quick look; None for the real thing."""
    downstream: bool = True
    """Whether small networks are trained on the input and on the output."""

    @property
    def rows(self) -> list[str]:
        return list(SUITES[self.suite])

    @property
    def settings(self) -> dict[str, Any]:
        """What must agree between the rows of a folder."""
        return {"preset": self.preset, "per_class": self.per_class}

    def units(self, rows: Sequence[str]) -> list[Unit]:
        return [self._unit(Row.named(self.suite, row), seed) for seed in self.seeds for row in rows]

    def check(self, todo: Sequence[Unit]) -> None:
        Sanitizer(METHODS[self.suite], config=self.preset, device=self.device)
        for dataset in {Row.named(self.suite, unit.row).dataset for unit in todo}:
            images_file(dataset, "test")
        replaced = {unit.path for unit in todo}
        for unit in self.units(self.rows):
            measured = None if unit.path in replaced else read_json(unit.path)
            if measured is not None and measured["settings"] != self.settings:
                raise ConfigError(
                    f"{unit.path} was measured with {measured['settings']} instead of {self.settings}: choose another "
                    "folder, or measure all of its rows again with --force"
                )

    def publish(self) -> Published:
        folders = {seed: self.folder(seed) for seed in self.seeds}
        return publish_folders(folders, self.rows, lambda seed, rows: table(folders[seed].name, rows))

    def folder(self, seed: int) -> Path:
        """Of the JSON files."""
        return self.out / f"{self.suite}-{self.device_name}-seed{seed}"

    def _unit(self, row: Row, seed: int) -> Unit:
        default = self.folder(seed) / f"{row.default}.json" if row.paper and self.suite == "core" else None
        return Unit(
            row=row.name,
            name=f"{row.name}-seed{seed}",
            path=self.folder(seed) / f"{row.name}.json",
            prepare=partial(self._job, row, seed, default),
            measure=measure,
            after=default,
        )

    def _job(self, row: Row, seed: int, default: Path | None) -> Job:
        config, deviations = get_method(row.method).preset("paper" if row.paper else self.preset), list[str]()
        if default is not None:
            config, deviations = paper_config(_chosen(read_json(default)))
        return Job(
            row=row, preset=self.preset, config=config, deviations=deviations, device=self.device, seed=seed,
            per_class=self.per_class, downstream=self.downstream,
        )  # fmt: skip


def _chosen(default: Measures | None) -> dict[str, Any] | None:
    """Network and training of a measured row."""
    return None if default is None else default["config"]["chosen"]
