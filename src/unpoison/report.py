"""The report of one run: its results, as text, as a page, as a table and as files."""

import dataclasses
import html
import importlib.metadata
import json
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
import numpy as np
import numpy.typing as npt

from .checks import AnyPath, checked
from .data.checksums import MAX_JSON, Checked, write_sums
from .data.files import publish_bytes, reason_of
from .data.outputs import adding_to, check_page
from .data.reading import parse_json, parsing, read_bytes
from .errors import ConfigError, DamagedError
from .image_files import FILE as FILES
from .image_files import ImageFiles
from .pictures import FILE as PICTURES
from .pictures import Pictures
from .printable import printable
from .results import ClassEvidence as ClassEvidence
from .results import OnPoison as OnPoison
from .results import Results
from .results import Unreadable as Unreadable
from .samples import samples_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 5
"""2 added the reasons, the names of the classes, the digest of the content and the pictures; 3 the unreadable items; 4
the status of the classes and the duplicates; 5 the checksums, without which none is read."""
_JSON, _ARRAYS = "report.json", "report.npz"
_MAX_BYTES = 1 << 32
"""Of the arrays: those of ten million samples are smaller."""
_SCHEMA = {
    "score": ("f", 1), "flagged": ("b", 1), "kind": ("U", 1), "action": ("U", 1), "label": ("i", 1),
    "original_label": ("i", 1), "quality": ("f", 1), "votes": ("b", 2), "reason": ("U", 1), "duplicate_of": ("i", 1),
}  # fmt: skip
_MAY_BE_EMPTY = ("votes", "reason", "duplicate_of")
_SHOWN = 5
"""Unreadable items in the summary."""
_NOTEBOOK_BYTES = 1 << 20
_FRAME = 'style="width:100%;height:48rem;border:0"'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report(Results):
    """Arrays over the N samples of the wrapped dataset, in its order, and the facts of the run."""

    def summary(self) -> str:
        """A few lines for a person: counts, suspicious classes, time."""
        flagged, total = int(self.flagged.sum()), len(self)
        counts = {action: int((self.action == action).sum()) for action in ("keep", "restore", "drop")}
        kinds = {kind: int((self.kind == kind).sum()) for kind in ("backdoor", "mislabelled")}
        shown = self.unreadable[:_SHOWN]
        copies = self.duplicate_of >= 0
        groups, gone = len(np.unique(self.duplicate_of[copies])), int((self.reason == "duplicate").sum())
        what = f"{gone} dropped" if gone else "kept"
        look, unknown = self.with_status("needs a look"), self.with_status("not assessable")
        lines = [
            f"{flagged} of {total} samples flagged"
            + "".join(f", {count} {kind}" for kind, count in kinds.items() if count),
            f"kept {counts['keep']}, restored {counts['restore']}, dropped {counts['drop']}"
            + (f", of which {len(self.unreadable)} cannot be read" if self.unreadable else ""),
            *([f"{copies.sum()} duplicates in {groups} group{'s' * (groups > 1)}: {what}"] if groups else []),
            *(f"cannot be read: {entry.file or f'item {entry.position}'} ({entry.reason})" for entry in shown),
            *([f"cannot be read: {len(self.unreadable) - _SHOWN} more"] if len(self.unreadable) > _SHOWN else []),
            f"poisoned classes: {', '.join(map(str, self.with_status('poisoned'))) or 'none'}",
            *([f"classes that need a look: {', '.join(map(str, look))}"] if look else []),
            *([f"classes that are not assessable: {', '.join(map(str, unknown))}"] if unknown else []),
            f"time: {sum(self.timings.values()):.0f} s ("
            + ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.timings.items())
            + ")",
        ]
        return printable("\n".join(lines + self.notes))

    @checked
    def samples(self, images: AnyPath | None = None) -> "pa.Table":
        """One row per sample, as an Arrow table: for pandas, FiftyOne, Spotlight and the like, and for `write_samples`.

        Columns: `position` int64; `filepath` string, null where a sample comes from no file; `label` string, the class
        after cleaning by name, or its number as text where it has none, null where dropped; `original_label` string;
        `score` float32; `flagged` bool; `kind`, `action` string; `quality` float32; `reason` string, null in reports of
        older versions; `duplicate_of` int64, position of the first of the images that are the same, null where no other
        is. All strings but `filepath` are dictionaries. The digest of the content is in the metadata.

        Args:
            images: the folder that the images lie in now. Without it, paths are those of the images when they were
                cleaned, and those of exported reports, which do not tell the folder, are relative.

        Raises:
            ConfigError: the images are not in this folder.
        """
        return samples_of(self, images)

    @checked
    def to_html(self, path: AnyPath) -> Path:
        """Writes one self-contained page for a browser, with the most suspicious images; returns its path.

        Raises:
            ConfigError: the file cannot be written, or something else than such a page is there.
        """
        from .html.page import render  # loads Jinja

        path = Path(path)
        check_page(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            publish_bytes(path, render(self).encode())
        except OSError as error:
            raise ConfigError(f"cannot write {path} ({error}): choose another path") from error
        return path

    def _repr_html_(self) -> str:
        """For notebooks: the page with a few images, in a frame of its own."""
        from .html.page import render  # loads Jinja

        page = html.escape(render(self, max_bytes=_NOTEBOOK_BYTES))
        return f'<iframe sandbox="allow-scripts" srcdoc="{page}" title="unpoison report" {_FRAME}></iframe>'

    @checked
    def save(self, folder: AnyPath) -> Path:
        """Writes `report.json`, `report.npz` and, where they are known, `pictures.npz` and `files.npz` into a folder,
        which is created, and their checksums into `SHA256SUMS`; returns the folder. A report that was there stays
        until all of this is on disk.

        Raises:
            ConfigError: the folder cannot be written, or files of these names lie there that are no report.
        """
        folder = Path(folder)
        _check_place(folder)
        try:
            with adding_to(folder, (_JSON, _ARRAYS, PICTURES, FILES)) as new:
                self._write(new)
        except OSError as error:
            raise ConfigError(
                f"cannot write to {folder} ({reason_of(error)}): free some space or choose another folder"
            ) from error
        return folder

    def _write(self, folder: Path) -> None:
        """What `save` writes, into a folder where no report is; raises OSError where it cannot be written."""
        np.savez(folder / _ARRAYS, allow_pickle=False, **{name: getattr(self, name) for name in _SCHEMA})
        facts = _Facts(format=FORMAT, **{name: getattr(self, name) for name in _Facts.__struct_fields__[1:]})
        (folder / _JSON).write_text(json.dumps(msgspec.to_builtins(facts), indent=1))
        written = [_JSON, _ARRAYS]
        for name, part in ((PICTURES, self.pictures), (FILES, self.files)):
            if part is not None:
                part.save(folder)
                written.append(name)
        write_sums(folder, written)

    @classmethod
    @checked
    def load(cls, folder: AnyPath) -> Self:
        """Reads what `save` wrote; nothing is unpickled.

        Raises:
            CacheError: the folder holds no report, a damaged one or one of a newer format.
        """
        return cls(**fields_of(Checked(Path(folder))))


def fields_of(files: Checked) -> dict[str, Any]:
    """Of the report in a folder; raises as `Report.load` does."""
    facts = msgspec.structs.asdict(files.json(_JSON, _Facts, newest=FORMAT))
    values: dict[str, Any] = files.arrays(_ARRAYS, _SCHEMA, limit=_MAX_BYTES)
    count = len(values["score"])
    with parsing(files.folder / _ARRAYS):
        _check(values, count)
    with parsing(files.folder / _JSON):
        if any(not 0 <= entry.position < count for entry in facts["unreadable"]):
            raise ValueError("an unreadable item has no position in the dataset")
    del facts["format"]
    return {**values, **facts, "pictures": Pictures.load(files, count), "files": ImageFiles.load(files, count)}


def _check_place(folder: Path) -> None:
    """Makes sure that a report replaces nothing but a report.

    Raises:
        ConfigError: there is something else.
    """
    if not any((folder / name).exists() for name in (_JSON, _ARRAYS)):
        return
    path = folder / _JSON
    with suppress(DamagedError), parsing(path):
        if {"format", "threshold", "classes"} <= parse_json(read_bytes(path, MAX_JSON), dict[str, Any]).keys():
            return
    raise ConfigError(f"{folder} holds a {_JSON} or {_ARRAYS} that is no report of unpoison: choose another folder")


class _Facts(msgspec.Struct, kw_only=True):
    """What `report.json` holds: `Report` but for what has files of its own."""

    format: int
    threshold: Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
    classes: list[ClassEvidence]
    timings: dict[str, float]
    config: dict[str, Any]
    notes: list[str]
    versions: dict[str, str]
    class_names: list[str] | None
    content: str
    unreadable: list[Unreadable]


def _check(values: dict[str, npt.NDArray[Any]], count: int) -> None:
    """Arrays from a file may be of any length, and hold anything.

    Raises:
        ValueError: these are not the ones of a report on so many samples.
    """
    for name, array in values.items():
        if len(array) != count and not (name in _MAY_BE_EMPTY and not len(array)):
            raise ValueError(f"{name} has {len(array)} rows, and score {count}")
    for name in ("score", "quality"):
        if np.isnan(values[name]).any():
            raise ValueError(f"{name} holds what is no number")
    for name in ("kind", "reason"):
        "".join(np.unique(values[name])).encode()  # unlike the names of files, they are text
    if not np.isin(values["action"], ("keep", "restore", "drop")).all():
        raise ValueError("action holds something else than keep, restore and drop")
    if any((values[name] < -1).any() for name in ("label", "original_label")):
        raise ValueError("a class has a negative number")
    if ((values["action"] == "drop") != (values["label"] < 0)).any():
        raise ValueError("samples without a class are not the ones that are dropped")
    if not ((values["duplicate_of"] >= -1) & (values["duplicate_of"] < count)).all():
        raise ValueError("duplicate_of names what is no position in the dataset")


def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries that decide an outcome."""
    packages = ("unpoison", "torch", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
