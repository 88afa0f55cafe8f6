"""Where work is done, from which seed, and who hears how far it has come."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import torch

from .progress import Bar, Progress

_CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True)
class Context:
    """What every part of a run needs to know, and hands on to its own parts."""

    device: torch.device = _CPU
    """To compute on."""
    seed: int = 0
    """Of everything random."""
    progress: Progress = dataclasses.field(default_factory=lambda: Progress(False))
    """Shows the stages, and adds up how long they take."""
    running: Bar | None = None
    """The stage, or the part of one, that is running."""

    @contextmanager
    def stage(self, name: str) -> Iterator[Self]:
        """Runs one stage: `with context.stage("restore") as part: part.update(0.5)`."""
        with self.progress.stage(name) as bar:
            yield dataclasses.replace(self, running=bar)

    def part(self, start: float, end: float) -> Self:
        """For what reports its own 0..1 between two fractions of the running stage."""
        return self if self.running is None else dataclasses.replace(self, running=self.running.part(start, end))

    def update(self, fraction: float) -> None:
        """Says that so much of the running stage is done, 0..1."""
        if self.running is not None:
            self.running.update(fraction)

    def seeded(self, seed: int) -> Self:
        """The same with another seed."""
        return dataclasses.replace(self, seed=seed)
