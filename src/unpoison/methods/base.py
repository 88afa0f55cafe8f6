"""What a method is."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..context import Context
from ..report import OnPoison
from ..stages.classify import CLASSIFY, Clean
from ..stages.features import FEATURES
from ..stages.restore import RESTORE, RESTORER, Treatment
from ..stages.stage import Artefact, Executor


class Find(Protocol):
    """The signature of a method's first part: the stages that say what is poisoned."""

    def __call__(self, inputs: Mapping[str, Artefact], config: Any, executor: Executor, context: Context) -> Artefact:
        """To an artefact that holds a `Found`.

        It chains stages and reads none of the folders: it is also called with an executor that does nothing, to see
        what decides the result.

        Args:
            inputs: the `store`, which is an `ImageStore`, and frozen `features` of its images, where there are any.
            config: of the class that the method names.
        """
        ...


class Finish(Protocol):
    """The signature of a method's second part: the stages that keep, drop or restore what was found."""

    def __call__(
        self, inputs: Mapping[str, Artefact], treatment: Treatment, executor: Executor, context: Context
    ) -> Artefact:
        """To an artefact that holds a `Restored`, as `Find` does.

        Args:
            inputs: the `store`, what was `found`, and `features` and a `restorer` to start from, where there are any.
            treatment: what is asked; "restore" only where something is flagged.
        """
        ...


def finish(inputs: Mapping[str, Artefact], treatment: Treatment, executor: Executor, context: Context) -> Artefact:
    """PD-AutoR 3.2 and 3.3, for what any method has found. See `Finish`."""
    if treatment.on_poison == "restore":
        known = {name: artefact for name, artefact in inputs.items() if name != RESTORER}
        inputs = {**inputs, "classifier": executor.run(CLASSIFY, known, Clean(treatment.spared), context)}
    return executor.run(RESTORE, {name: inputs[name] for name in inputs if name != FEATURES}, treatment, context)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodInfo:
    """One registered method, of two parts. The first is not repeated when only the second is to do something else."""

    name: str
    """What users ask for."""
    find: Find
    """The stages that say what is poisoned."""
    finish: Finish = finish
    """The stages that keep, drop or restore it."""
    preset: Callable[[str], Any]
    """Maps a preset's name to the method's configuration; raises `ConfigError` for an unknown name."""
    config_class: type
    """With a field `restoration`, see `RestorationConfig`."""
    on_poison: OnPoison
    """What happens to flagged samples unless the user says otherwise."""
    source: str
    """The paper."""
    version: str = ""
    """Of a method that is not the package's own."""

    @property
    def key(self) -> str:
        """What names it among the keys under which results are cached."""
        return f"{self.name} {self.version}".strip()
