"""What a stage is: it reads folders and writes one, so that it need not be repeated, and can be done elsewhere."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..context import Context

Inputs = Mapping[str, Path]
"""Folders by what they hold, see `Stage.run`."""


class Artefact(NamedTuple):
    """A folder that a stage has written, or that comes from elsewhere."""

    folder: Path
    """Where it lies."""
    key: str
    """Of all that decided what it holds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a run.

    What it makes follows from its inputs, its configuration, the device and the seed, and from nothing else.
    """

    name: str
    """Of the stage, and of its folder in the cache."""
    makes: str
    """What it leaves behind, for people: "what was detected"."""
    run: Callable[[Inputs, Path, Any, Context], None]
    """(inputs, out, configuration, context): writes files into the existing folder `out`. Arrays are .npy or .npz,
    networks safetensors, facts JSON; nothing is pickled."""
    config_class: Any
    """The type of its configuration: a dataclass of what matters to it."""
    versions: Callable[[Any], dict[str, str]] = lambda _: {}
    """Of what a configuration names and does not hold, such as a registered detector."""
    format: int = 1
    """Of its files, and of how their contents are worked out: to be raised whenever either changes."""


class Executor(Protocol):
    """Has stages done: here, or elsewhere."""

    def run(self, stage: Stage, inputs: Mapping[str, Artefact], config: Any, context: Context) -> Artefact:
        """What the stage makes of some inputs, now or earlier.

        Raises:
            CacheError: it cannot be kept.
        """
        ...
