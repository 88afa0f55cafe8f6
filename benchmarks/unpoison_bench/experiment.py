"""What an experiment is: named units of work, each kept in a JSON file of its own, and the page made of these."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from unpoison.data.files import publish_bytes
from unpoison.errors import ConfigError

from .results import Measures, read_json


class Unit(NamedTuple):
    """One thing that is measured, in a process of its own."""

    row: str
    """Which of the experiment's rows it is of."""
    name: str
    """In lines of progress."""
    path: Path
    """Of the JSON file; units of one path are the same."""
    prepare: Callable[[], Any]
    """Called in the first process when the turn comes; its result is what `measure` gets."""
    measure: Callable[[Any], Measures]
    """A function of a module, called in the process of its own."""
    keys: tuple[str, ...] = ()
    """What the file must hold to count as done."""
    after: Path | None = None
    """File of a unit that `prepare` reads: where both are to be measured, that one is first."""

    @property
    def done(self) -> bool:
        """Whether it need not be measured again."""
        measured = read_json(self.path)
        return measured is not None and all(key in measured for key in self.keys)


class Published(NamedTuple):
    """What is shown of an experiment."""

    text: str
    """Markdown, as it was written to files."""
    facts: Any
    """JSON values."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(abc.ABC):
    """What is measured, with which options, and what is published of it."""

    out: Path = Path("benchmarks/results")
    """Folder of all results."""
    device: str = "cpu"
    """To compute on, such as "cpu" or "cuda"."""
    seeds: tuple[int, ...] = (0,)
    """Of everything random; every row is measured with each of them."""

    @property
    def device_name(self) -> str:
        """The device, as names of folders have it."""
        return self.device.replace(":", "")

    @property
    @abc.abstractmethod
    def rows(self) -> list[str]:
        """Names of the rows, in the order in which they are measured.

        Raises:
            ConfigError: an option has an unknown value.
        """

    @abc.abstractmethod
    def units(self, rows: Sequence[str]) -> list[Unit]:
        """What is measured for these rows, in their order, one seed after the other."""

    @abc.abstractmethod
    def check(self, todo: Sequence[Unit]) -> None:
        """Makes sure that units can be measured.

        Raises:
            ConfigError: an option has an unknown value, or what is measured already has other settings.
            DatasetError: the images are missing.
        """

    @abc.abstractmethod
    def publish(self) -> Published:
        """Turns all JSON files, of rows that were asked for and of others, into Markdown, and writes that."""


def choose(names: Sequence[str], patterns: Sequence[str] | None) -> list[str]:
    """The names that match patterns, in which * stands for anything, in the order of the patterns; all when None.

    Raises:
        ConfigError: nothing matches a pattern.
    """
    chosen: dict[str, None] = {}
    for pattern in ["*"] if patterns is None else patterns:
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            raise ConfigError(f"unknown row {pattern!r}: choose among {', '.join(names)}")
        chosen |= dict.fromkeys(found)
    return list(chosen)


def publish_folders(
    folders: dict[int, Path], rows: Sequence[str], page: Callable[[int, list[Measures]], str]
) -> Published:
    """Puts all that the folders of seeds hold into a page beside each of them, `{folder}.md`.

    Args:
        folders: by seed.
        rows: names of the files, without their end, in the order of the page.
        page: makes Markdown of a seed and of what was measured with it.
    """
    texts, facts = list[str](), list[Measures]()
    for seed, folder in folders.items():
        found = (read_json(folder / f"{row}.json") for row in rows)
        measured = [one for one in found if one is not None]
        if measured:
            texts.append(page(seed, measured))
            publish_bytes(folder.with_name(f"{folder.name}.md"), texts[-1].encode())
            facts += measured
    return Published("\n".join(texts), facts)
