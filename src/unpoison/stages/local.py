"""Stages in this process, whose results lie in the cache folder:

<cache>/stages/<stage>/<key>/    what it made, and timings.json: how long that took
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ..context import Context
from ..data.cache import build_once
from ..data.checksums import Checked, is_whole, publishing_checked
from ..data.files import remove_leftovers, writing
from ..data.pruning import STAGES, hold, mark_used
from .keys import artefact_key
from .stage import Artefact, Inputs, Stage

_TIMINGS = "timings.json"


class LocalExecutor:
    """Does what was not done before; of several processes one does it, and the others wait. What it was asked for stays
    in the cache until `release`.

    Another executor can override `work`, which is done without holding anything but the result's lock.

    Attributes:
        root: the cache folder.
        kept: by what they hold, the folders of all results that were asked for; unfinished ones are not there yet.
        reused: of those that were there before, the seconds that they took then.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kept: dict[str, Path] = {}
        self.reused: dict[str, float] = {}
        self._holder = _Holder()

    def run(self, stage: Stage, inputs: Mapping[str, Artefact], config: Any, context: Context) -> Artefact:
        """See `Executor.run`."""
        key = artefact_key(stage, inputs, config, context.device, context.seed)
        folders = {name: artefact.folder for name, artefact in inputs.items()}
        for artefact in inputs.values():
            hold(self._holder, artefact.folder)
        return self.keep(
            stage.name, stage.makes, key, lambda out: self.work(stage, folders, out, config, context), context
        )

    def keep(self, name: str, makes: str, key: str, work: Callable[[Path], None], context: Context) -> Artefact:
        """What some work writes into an empty folder, now or earlier.

        Args:
            name: of the folder of all its results.
            makes: what it leaves behind, for people.
            key: of all that decides what it writes.
        """
        folder = self.root / STAGES / name / key
        self.kept[makes] = folder
        built = False

        def build() -> None:
            nonlocal built
            built, before, start = True, dict(context.progress.timings), time.perf_counter()
            with writing(self.root):
                remove_leftovers(folder.parent)
                with publishing_checked(folder) as out:
                    work(out)
                    took = _since(before, context.progress.timings)
                    if not took:  # it has no parts, or was done elsewhere
                        took = {name: time.perf_counter() - start}
                        context.progress.timings.update(took)
                    (out / _TIMINGS).write_text(json.dumps(took))

        build_once(self.root, f"{name}-{key}", lambda: is_whole(folder), build)
        hold(self._holder, folder)
        mark_used(folder)
        if not built:
            self.reused[makes] = sum(Checked(folder).json(_TIMINGS, dict[str, float]).values())
        return Artefact(folder, key)

    def release(self) -> None:
        """Lets go of what was asked for: the cache may make room."""
        self._holder = _Holder()

    def work(self, stage: Stage, inputs: Inputs, out: Path, config: Any, context: Context) -> None:
        """Has the stage write into an empty folder."""
        # The same numbers follow whether the stages before were done now or earlier.
        torch.manual_seed(context.seed)
        stage.run(inputs, out, config, context)


class _Holder:
    """For as long as it lives, nobody removes what it holds."""


def _since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """Seconds per part that were added."""
    took = {name: seconds - before.get(name, 0) for name, seconds in now.items()}
    return {name: seconds for name, seconds in took.items() if seconds > 0}
