"""The experiment `false-alarms`."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unpoison.sanitizer import Sanitizer

from ..data import images_file
from ..experiment import Experiment, Published, Unit, publish_folders
from ..results import Measures
from .cases import Case, Half
from .listing import cases_of, get_case
from .measuring import Job, measure
from .tables import page


@dataclasses.dataclass(frozen=True, kw_only=True)
class FalseAlarms(Experiment):
    """Measures sets into `{out}/false-alarms-{method}-{preset}-{device}-seed{seed}/{half}/{set}.json`, and writes
    `{half}.md` beside that folder, of all that it holds.

    A seed is of the cleaning and the networks, added to that of the poison; the images are the same.
    """

    half: Half = "develop"
    """Of the sets."""
    method: str = "pdautor"
    """That cleans."""
    preset: str = "default"
    """Of the method."""
    downstream: bool = True
    """Whether networks are trained on the input and on the output of poisoned sets; those that lack them are measured
    again."""

    @property
    def rows(self) -> list[str]:
        return [case.name for case in cases_of(self.half)]

    def units(self, rows: Sequence[str]) -> list[Unit]:
        return [self._unit(get_case(row), seed) for seed in self.seeds for row in rows]

    def check(self, todo: Sequence[Unit]) -> None:
        Sanitizer(self.method, config=self.preset, device=self.device)
        for source in {get_case(unit.row).draw.source for unit in todo} - {"digits"}:
            images_file(source, "train")

    def publish(self) -> Published:
        return publish_folders({seed: self.folder(seed) for seed in self.seeds}, self.rows, self._page)

    def folder(self, seed: int) -> Path:
        """Of the JSON files."""
        return self.out / f"false-alarms-{self.method}-{self.preset}-{self.device_name}-seed{seed}" / self.half

    def _page(self, seed: int, measured: list[Measures]) -> str:
        title = f"False alarms, half {self.half}: {self.method}, preset {self.preset}, seed {seed}"
        return page(title, measured, len(self.rows))

    def _unit(self, case: Case, seed: int) -> Unit:
        return Unit(
            row=case.name,
            name=f"{case.name}-seed{seed}",
            path=self.folder(seed) / f"{case.name}.json",
            prepare=partial(self._job, case, seed),
            measure=measure,
            keys=("asr_input",) if self.downstream and case.poison is not None else (),
        )

    def _job(self, case: Case, seed: int) -> Job:
        return Job(
            case=case, method=self.method, preset=self.preset, device=self.device, seed=seed,
            downstream=self.downstream,
        )  # fmt: skip
