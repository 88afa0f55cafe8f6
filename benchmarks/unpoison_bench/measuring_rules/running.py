"""The experiment: what measures what on which sets, one JSON file for each group of numbers and set."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch

from unpoison import rules
from unpoison.context import Context
from unpoison.data.files import publish_bytes
from unpoison.errors import ConfigError

from ..data import images_file
from ..experiment import Experiment, Published, Unit
from ..machine import machine_facts
from ..results import Measures, read_json
from . import bab, copies, networks, seams, triggers
from .observing import Observations
from .page import page, summary
from .rows import ROWS
from .sets import CASES, JOINED, Data, load_set

_CLEAN = tuple(name for name, case in CASES.items() if case.poison is None)
_JOINED = tuple(case.name for case in JOINED)
_POISONED = tuple(
    name for name, case in CASES.items() if name not in _JOINED and case.poison and len(case.poison.attacks) == 1
)
"""Those of two attacks do not tell which image has which."""
_DIFFERENT = tuple(name for name in _CLEAN if CASES[name].draw.series == 1 and not CASES[name].draw.tracks)
"""Sets that hold no near-duplicates on purpose."""
_LEARNED = (
    "cifar10-5x300-a", "cifar10-10x100", "cifar10-3x500", "cifar10n-2000-b", "gtsrb-10x150", "digits-10x60",
    "cifar10-5x300-a+badnets-3", "cifar10-5x300-b+blend-3", "cifar10-5x300-c+sig-5", "gtsrb-10x150+badnets-2",
    "gtsrb-10x150+blend-3", "cifar10-5x300-a+hello_kitty-3", "digits-10x60+badnets-5",
)  # fmt: skip
"""Sets of a size that networks learn within a minute or two on one core."""
_ASKED = (
    "cifar10-5x300-a", "gtsrb-10x150", "digits-10x60", "cifar10-5x300-a+badnets-3", "gtsrb-10x150+badnets-2",
    "digits-10x60+badnets-5",
)  # fmt: skip


class Group(NamedTuple):
    """Numbers that are measured together."""

    sets: tuple[str, ...]
    observe: Callable[[Data, Context], Observations]


GROUPS = {
    "copies": Group(_DIFFERENT, lambda data, context: copies.observe(data)),
    "seams": Group((*_CLEAN, *_JOINED), lambda data, context: seams.observe(data)),
    "triggers": Group((*_CLEAN, *_POISONED), lambda data, context: triggers.observe(data)),
    "networks": Group(_LEARNED, networks.observe),
    "bab": Group(_ASKED, bab.observe),
}


class Job(NamedTuple):
    """What a process needs."""

    group: str
    name: str
    device: str
    seed: int


def measure(job: Job) -> Measures:
    """What was seen of a group's numbers on one set, as JSON values.

    Raises:
        DatasetError: a file is missing, or holds too few images.
    """
    start, device = time.perf_counter(), torch.device(job.device)
    seen = GROUPS[job.group].observe(load_set(CASES[job.name]), Context(device, job.seed))
    return {
        "group": job.group,
        "set": job.name,
        "observations": seen.facts,
        "seconds": time.perf_counter() - start,
        "machine": machine_facts(device),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules(Experiment):
    """Measures into `{out}/{group}/{set}.json`, and writes the table `{out}.md` of all that is there."""

    only: tuple[str, ...] | None = None
    """Numbers; what is measured together with them is measured, too. None for all."""

    @property
    def rows(self) -> list[str]:
        known = dict.fromkeys(row.number for row in ROWS)
        for name in self.only or ():
            if name not in rules.numbers():
                raise ConfigError(f"unknown number {name!r}: choose among {', '.join(known)}")
            if name not in known:
                raise ConfigError(f"of {name} there is nothing to measure: choose among {', '.join(known)}")
        asked = {row.group for row in ROWS if self.only is None or row.number in self.only}
        return [f"{name}/{of}" for name, group in GROUPS.items() if name in asked for of in group.sets]

    def units(self, rows: Sequence[str]) -> list[Unit]:
        return [
            Unit(row=row, name=row, path=self.out / f"{row}.json", prepare=partial(self._job, row), measure=measure)
            for row in rows
        ]

    def check(self, todo: Sequence[Unit]) -> None:
        for source in {CASES[unit.row.partition("/")[2]].draw.source for unit in todo} - {"digits"}:
            images_file(source, "train")

    def publish(self) -> Published:
        everything = dataclasses.replace(self, only=None)
        units = everything.units(everything.rows)
        measured = [found for unit in units if (found := read_json(unit.path)) is not None]
        facts = summary(measured, {name: len(group.sets) for name, group in GROUPS.items()})
        text = page(facts)
        publish_bytes(self.out.with_name(f"{self.out.name}.md"), text.encode())
        return Published(text, facts)

    def _job(self, row: str) -> Job:
        group, _, name = row.partition("/")
        return Job(group, name, self.device, self.seeds[0])
