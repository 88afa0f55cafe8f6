"""The experiment `photographs`."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unpoison.errors import ConfigError
from unpoison.sanitizer import Sanitizer

from ..data import images_file
from ..experiment import Experiment, Published, Unit, publish_folders
from ..results import Measures
from .measuring import BY_HAND, Job, measure
from .rows import ROWS, Row, get_row
from .tables import page
from .triggers import make_attack

FEWEST = 100
"""Photographs of which a part can be poisoned in every row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photographs(Experiment):
    """Measures rows into `{out}/photographs-{method}-{preset}-{device}-seed{seed}[-{photographs}]/{row}.json`, and
    writes a page beside that folder, of all that it holds.

    A seed is of the poison, the cleaning and the networks; the photographs are the same.
    """

    method: str = "pdautor"
    """That cleans; or "flags", PD-AutoR that is told which photographs are poisoned."""
    preset: str = "default"
    """Of the method."""
    photographs: int | None = None
    """About so many photographs of each row, for a quick look; None for all."""
    downstream: bool = False
    """Whether networks are trained on the input and on the output of poisoned sets; those that lack them are measured
    again."""

    @property
    def rows(self) -> list[str]:
        return list(ROWS)

    def units(self, rows: Sequence[str]) -> list[Unit]:
        return [self._unit(get_row(row), seed) for seed in self.seeds for row in rows]

    def check(self, todo: Sequence[Unit]) -> None:
        if self.photographs is not None and self.photographs < FEWEST:
            raise ConfigError(f"photographs must be at least {FEWEST}, got {self.photographs}")
        method = "pdautor" if self.method == BY_HAND else self.method
        Sanitizer(method, config=self.preset, device=self.device)
        for row in (get_row(unit.row) for unit in todo):
            images_file(row.source, "train")
            if row.trigger is not None:
                make_attack(row.trigger)

    def publish(self) -> Published:
        return publish_folders({seed: self.folder(seed) for seed in self.seeds}, self.rows, self._page)

    def folder(self, seed: int) -> Path:
        """Of the JSON files."""
        part = "" if self.photographs is None else f"-{self.photographs}"
        return self.out / f"photographs-{self.method}-{self.preset}-{self.device_name}-seed{seed}{part}"

    def _page(self, seed: int, measured: list[Measures]) -> str:
        part = "" if self.photographs is None else f", about {self.photographs} of each set"
        title = f"Photographs: {self.method}, preset {self.preset}, seed {seed}{part}"
        return page(title, measured, len(self.rows))

    def _unit(self, row: Row, seed: int) -> Unit:
        return Unit(
            row=row.name,
            name=f"{row.name}-seed{seed}",
            path=self.folder(seed) / f"{row.name}.json",
            prepare=partial(self._job, row, seed),
            measure=measure,
            keys=("asr_input",) if self.downstream and row.trigger is not None else (),
        )

    def _job(self, row: Row, seed: int) -> Job:
        return Job(
            row=row, method=self.method, preset=self.preset, device=self.device, seed=seed, images=self.photographs,
            downstream=self.downstream,
        )  # fmt: skip
