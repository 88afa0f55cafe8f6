"""What was read of a dataset before, so that an unchanged one opens without its images being read.

    <cache>/index/<key>.npz    facts on the items of some folders or tables, each with what decides its content; and the
                               sha256 of it all

An item is known where its file has the same path, size and time of change, and its label is the same. A file that
changed shortly before it was looked at may change again within the same tick of the clock, and is read again.
"""

import hashlib
import io
import logging
import os
import time
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ..errors import DamagedError
from ..printable import printable
from .checksums import MAX_FILE
from .facts import LABELS, SCHEMA, Facts, Rows, Texts
from .files import publish_bytes
from .origins import Origins, stamp
from .pruning import mark_used
from .reading import parse_arrays, parsing, read_bytes

FORMAT = 2
"""2 added whether values are fractional."""
RACY_SECONDS = 2
"""The coarsest clock of a file system in use, FAT's."""
_GONE, _RACY, _INSIDE = (-1, -1), (-2, -2), (0, 0)
_DIGEST = hashlib.sha256().digest_size
_PLACES = {"paths": ("u", 1), "marks": ("u", 1), "stamps": ("i", 2)}
_ALL = {
    "format": ("i", 0),
    **{f"places.{name}": array for name, array in _PLACES.items()},
    **{f"facts.{name}": array for name, array in SCHEMA.items()},
}
_LABELS = {f"facts.{name}": array for name, array in LABELS.items()}
_logger = logging.getLogger(__name__)


class Index:
    """The facts on the items of one dataset that earlier surveys found.

    Args:
        root: the cache folder.
        origins: of the items.
    """

    def __init__(self, root: Path, origins: Origins) -> None:
        self._places = _Places(Texts.of(origins.paths), Texts.of(origins.marks), _stamps(origins.paths))
        self.path = index_path(root, origins)
        self._before: tuple[_Places, Facts] | None = None

    def known(self) -> tuple[Rows, Facts | None]:
        """The items that nothing changed of, as positions, ascending, and the facts on them; a damaged index knows
        none."""
        self._before = self._load()
        if self._before is None:
            return np.empty(0, np.int64), None
        places, facts = self._before
        rows = places.rows_of(self._places)
        mine = self._places.stamps
        positions = np.flatnonzero((rows >= 0) & (mine >= 0).all(1) & (mine == places.stamps[rows]).all(1))
        if len(positions) == len(rows) == len(facts) and (rows == positions).all():
            return positions, facts
        return positions, facts.take(rows[positions])

    def save(self, facts: Facts, positions: Rows) -> None:
        """Keeps the facts on the items at some positions, int64 [M], and those on items of other datasets that lie in
        the same places and are as they were."""
        places = self._places if len(positions) == len(self._places.stamps) else self._places.take(positions)
        if self._before is None:
            self._before = self._load()
        if self._before is not None and self._before[1].text_labels == facts.text_labels:
            others = self._before[0].others(self._places)
            places = places.with_others(self._before[0].take(others))
            facts = facts.with_others(self._before[1].take(others)) if len(others) else facts
        buffer = io.BytesIO()
        columns = {f"facts.{name}": array for name, array in facts.arrays().items()}
        np.savez(buffer, allow_pickle=False, format=np.int64(FORMAT), **places.arrays(), **columns)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            data = buffer.getvalue()
            publish_bytes(self.path, data + hashlib.sha256(data).digest())
        except OSError as error:  # the next survey takes longer, and that is all
            _logger.debug("no index is kept: %s", printable(str(error)))

    def _load(self) -> "tuple[_Places, Facts] | None":
        try:
            content = read_bytes(self.path, MAX_FILE)
            mark_used(self.path)
            with parsing(self.path):
                data, digest = content[:-_DIGEST], content[-_DIGEST:]
                if hashlib.sha256(data).digest() != digest:
                    raise ValueError("its content is not the one that was written")
                arrays = parse_arrays(data, _ALL, _LABELS)
                if int(arrays["format"]) != FORMAT:
                    return None
                facts = Facts.from_arrays({name.removeprefix("facts."): array for name, array in arrays.items()})
                paths, marks = (Texts(arrays[f"places.{name}"].tobytes()) for name in ("paths", "marks"))
                places = _Places(paths, marks, arrays["places.stamps"])
                if any(text.packed.count(b"\0") != len(facts) - 1 for text in (paths, marks)):
                    raise ValueError("the paths are of other items")
                if places.stamps.shape != (len(facts), 2):
                    raise ValueError("the stamps are of other items")
            return places, facts
        except DamagedError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                _logger.info("made again: %s", printable(str(error)))
            return None


def index_path(root: Path, origins: Origins) -> Path:
    """Where the index of a dataset with these origins lies below the cache folder."""
    # Relative paths mean other files elsewhere.
    here = "" if all(map(os.path.isabs, filter(None, origins.paths))) else str(Path.cwd())
    key = hashlib.sha256("\n".join([here, *sorted(origins.names)]).encode(errors="surrogateescape"))
    return root / "index" / f"{key.hexdigest()[:32]}.npz"


def _stamps(paths: list[str]) -> npt.NDArray[np.int64]:
    """Size and time of change of each file, int64 [N,2]; negative where they say nothing.

    Files are looked at before they are read: what changes in between has another stamp next time.
    """
    latest = time.time_ns() - RACY_SECONDS * 10**9

    def look(path: str) -> tuple[int, int]:
        if not path:
            return _INSIDE
        try:
            found = stamp(path)
        except OSError:
            return _GONE
        return found if 0 <= found[1] <= latest else _RACY

    return np.array([look(path) for path in paths], np.int64).reshape(-1, 2)


class _Places(NamedTuple):
    """Where items come from, and the state of their files."""

    paths: Texts
    marks: Texts
    stamps: npt.NDArray[np.int64]

    def pairs(self) -> list[tuple[str, str]]:
        return list(zip(self.paths.all(), self.marks.all(), strict=True))

    def rows_of(self, wanted: "_Places") -> Rows:
        """The row of each item of others, int64 [N]; -1 where there is none."""
        if _begins(self.paths, wanted.paths) and _begins(self.marks, wanted.marks):
            return np.arange(len(wanted.stamps))
        places = {pair: row for row, pair in enumerate(self.pairs())}
        return np.array([places.get(pair, -1) for pair in wanted.pairs()], np.int64)

    def others(self, taken: "_Places") -> Rows:
        """Rows on other files, as far as those are what they were."""
        if self[:2] == taken[:2]:
            return np.empty(0, np.int64)
        pairs, known = self.pairs(), set(taken.pairs())
        rows = [row for row, pair in enumerate(pairs) if pair[0] and pair not in known and self.stamps[row, 0] >= 0]
        index: Rows = np.array(rows, np.int64)
        same = (_stamps([pairs[row][0] for row in rows]) == self.stamps[index]).all(1)
        return np.compress(same, index)

    def take(self, rows: Rows) -> Self:
        return self._replace(paths=self.paths.take(rows), marks=self.marks.take(rows), stamps=self.stamps[rows])

    def with_others(self, more: "_Places") -> Self:
        if not len(more.stamps):
            return self
        return self._replace(
            paths=self.paths.with_others(more.paths),
            marks=self.marks.with_others(more.marks),
            stamps=np.concatenate([self.stamps, more.stamps]),
        )

    def arrays(self) -> dict[str, npt.NDArray[np.int64] | npt.NDArray[np.uint8]]:
        texts = {f"places.{name}": np.frombuffer(getattr(self, name).packed, np.uint8) for name in ("paths", "marks")}
        return {**texts, "places.stamps": self.stamps}


def _begins(texts: Texts, start: Texts) -> bool:
    """Whether texts are others, or those and more."""
    return texts.packed == start.packed or texts.packed.startswith(start.packed + b"\0")
