"""The memory-mapped working copy of a dataset, and the survey that comes before it.

The survey reads every raw item without decoding files: labels, sizes, value ranges and the digest of the content,
which decides whether anything needs to be decoded at all. The build then decodes once, in worker processes, and
streams the pixels to disk: neither holds the dataset in memory.
"""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.utils.data import DataLoader

from ..errors import CacheError, DatasetError, UnpoisonError, UnreadableError
from ..image_files import ImageFiles
from ..progress import Stage
from ..report import Unreadable
from .access import RawView, naming_item
from .folders import check_classes, hidden_folder, hidden_folders
from .formats import member_extension
from .items import class_of
from .pixels import (
    UNREADABLE,
    Encoded,
    Levels,
    Pixels,
    colour_channels,
    fingerprint,
    image_size,
    peak,
    to_eight_bit,
    white_levels,
)

OnUnreadable = Literal["raise", "skip"]
FORMAT = 2
"""2 added the positions of the items and those that cannot be decoded."""
MAX_SIZE, MIN_SIZE = 64, 8
_IMAGES, _LABELS, _POSITIONS, _META = "images.npy", "labels.npy", "positions.npy", "meta.json"
_BATCH, _SMALL = 64, 2000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of a dataset of N items before any file is decoded."""

    labels: npt.NDArray[np.int64]
    """int64 [N]; class numbers as they came, or positions in `names` where labels are strings; -1 where not known."""
    names: list[str] | None
    """Names of the classes by number, where they are known."""
    text_labels: bool
    """Whether the dataset's labels are strings."""
    sizes: npt.NDArray[np.int64]
    """int64 [N,2]; height and width, 0 where the item cannot be read."""
    channels: int
    """1 if all images are grey, else 3."""
    levels: Levels
    """The value of white in images that are not uint8."""
    digests: npt.NDArray[np.uint8]
    """uint8 [N,32]; sha256 of each image and label."""
    extension: str
    """Of the image members in shards: of the most common format of the dataset's files, "png" if it has none."""
    only_pixels: bool
    """Whether all images are files that decode to "RGB" images of which nothing but the pixels matters."""
    files: ImageFiles | None
    """Where the images lie; None where they come from no files."""
    readable: npt.NDArray[np.int64]
    """int64 [M], ascending; positions of the items that can be read, as far as is known without decoding."""
    unreadable: list[Unreadable]
    """The others."""
    hidden: dict[str, int]
    """Hidden folders that images lie in, and how many of them."""

    @property
    def digest(self) -> str:
        """sha256 of the whole content, in hexadecimal."""
        return hashlib.sha256(self.digests.tobytes()).hexdigest()

    @property
    def exact(self) -> bool:
        """Whether the working copy holds just what the images decode to."""
        return self.only_pixels and bool((self.sizes[self.readable] == self.working_size()).all())

    def working_size(self, max_size: int = MAX_SIZE) -> tuple[int, int]:
        """(height, width) of the working copy: native if all images agree and fit, else the median, scaled to fit."""
        sizes = self.sizes[self.readable]
        size = sizes[0] if (sizes == sizes[0]).all() else np.median(sizes, axis=0)
        scaled = np.rint(size * min(1.0, max_size / size.max()))
        height, width = np.maximum(scaled, MIN_SIZE).astype(int).tolist()
        return height, width


def survey(
    view: RawView,
    *,
    on_unreadable: OnUnreadable = "raise",
    num_workers: int | None = None,
    stage: Stage | None = None,
) -> Survey:
    """Reads every raw item once and checks it.

    Args:
        view: the raw items.
        on_unreadable: whether items that cannot be read are an error or left out.
        num_workers: processes to read with; chosen from the machine and the dataset's size when None.

    Raises:
        UnreadableError: an item cannot be read, and that is an error.
        DatasetError: none can be read, an item is malformed, its label is missing, fractional or negative, or there
            are fewer than two classes or a class with a single image.
    """
    every: list[_Facts] = []
    for fact in _over_items(view, np.arange(len(view)), _facts, num_workers, stage):
        if fact.error is not None and on_unreadable == "raise":
            raise fact.error
        every.append(fact)
    facts = [fact for fact in every if fact.error is None]
    if not facts:
        raise DatasetError(f"none of the {len(every)} items can be read, the first because: {every[0].error}")
    classes = [fact.label for fact in facts if fact.label is not None]
    names = _class_names(classes, view.names())
    peaks = {kind: max((fact.peak for fact in facts if fact.kind == kind), default=0.0) for kind in "fi"}
    found = Survey(
        labels=np.array([_number(fact.label, names) for fact in every], np.int64),
        names=names,
        text_labels=isinstance(classes[0], str),
        sizes=np.array([fact.size for fact in every], np.int64),
        channels=max(fact.channels for fact in facts),
        levels=white_levels(peaks["f"], peaks["i"]),
        digests=np.frombuffer(b"".join(fact.digest for fact in every), np.uint8).reshape(-1, 32),
        extension=member_extension(fact.extension for fact in facts),
        only_pixels=all(fact.only_pixels for fact in facts),
        files=ImageFiles.of(fact.file for fact in every),
        readable=np.flatnonzero([fact.error is None for fact in every]).astype(np.int64),
        unreadable=[_unreadable(n, fact.error) for n, fact in enumerate(every) if fact.error is not None],
        hidden=hidden_folders(fact.hidden for fact in facts),
    )
    check_classes(view, found, found.readable)
    return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    label: int | str | None
    digest: bytes
    file: str = ""
    error: UnreadableError | None = None
    """All that follows is known only without one."""
    size: tuple[int, int] = (0, 0)
    channels: int = 0
    kind: str = ""
    peak: float = 0.0
    extension: str = ""
    only_pixels: bool = False
    hidden: str = ""


def _facts(view: RawView, index: int) -> _Facts:
    try:
        record = view.read(index)
    except UnreadableError as error:
        return _Facts(label=None, digest=UNREADABLE, error=error, file=_absolute(error.file))
    image = record.stored_image
    with naming_item(index, record.file):
        label = class_of(record.label)
    try:
        with naming_item(index, record.file):
            kind, high = peak(image)
            return _Facts(
                label=label,
                size=image_size(image),
                channels=colour_channels(image),
                kind=kind,
                peak=high,
                digest=fingerprint(image, label),
                extension=image.extension if isinstance(image, Encoded) and image.is_portable else "",
                only_pixels=isinstance(image, Encoded) and image.is_only_pixels,
                hidden=hidden_folder(record.file),
                file=_absolute(record.file),
            )
    except UnreadableError as error:
        # A file that is repaired later, or damaged in another way, is another content.
        digest = fingerprint(image, label) if isinstance(image, Encoded) else UNREADABLE
        return _Facts(label=label, digest=digest, error=error, file=_absolute(error.file))


def _absolute(file: str) -> str:
    """Of a record's file; "" where it is only a name, of what lies in a table or an archive."""
    return file if Path(file).is_absolute() else ""


def _unreadable(position: int, error: UnreadableError) -> Unreadable:
    return Unreadable(position=position, file=error.file, reason=error.reason)


def _class_names(classes: list[int | str], names: list[str] | None) -> list[str] | None:
    kinds = {type(value) for value in classes}
    if len(kinds) > 1:
        raise DatasetError("some labels are numbers and some are strings: use one kind")
    if kinds == {str}:
        texts = {str(value) for value in classes}
        return names if names is not None and texts <= set(names) else sorted(texts)
    return names


def _number(label: int | str | None, names: list[str] | None) -> int:
    if isinstance(label, str):
        return names.index(label) if names is not None and label in names else -1
    return -1 if label is None else label


class ImageStore:
    """A dataset at working resolution, in a plain folder.

    Attributes:
        images: uint8 [M,H,W,C], memory-mapped copy-on-write: changes never reach the file.
        labels: int64 [M] in 0..num_classes-1, numbered without gaps.
        positions: int64 [M], ascending; where the images are in the dataset.
        unreadable: the items that turned out to be unreadable when they were decoded.
        folder: where it is.
        class_ids: int64 [num_classes]; the dataset's own number of each class.
        digest: sha256 of the dataset's content, in hexadecimal.
    """

    def __init__(
        self,
        folder: Path,
        images: Pixels,
        labels: npt.NDArray[np.int64],
        class_ids: npt.NDArray[np.int64],
        positions: npt.NDArray[np.int64],
        unreadable: list[Unreadable],
        digest: str,
    ) -> None:
        self.folder, self.images, self.labels, self.class_ids = folder, images, labels, class_ids
        self.positions, self.unreadable, self.digest = positions, unreadable, digest

    @property
    def num_classes(self) -> int:
        return len(self.class_ids)

    def rows(self, positions: Any) -> Any:
        """int64, of the shape of `positions`; where the items at these positions of the dataset are in `images`."""
        return np.searchsorted(self.positions, positions)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Opens what `build` wrote.

        Raises:
            CacheError: the folder holds no store, a damaged one or one of a newer format.
        """
        folder = Path(folder)
        try:
            meta = json.loads((folder / _META).read_text())
            if meta["format"] > FORMAT:
                raise CacheError(f"the image store in {folder} was written by a newer unpoison: upgrade the package")
            images = np.load(folder / _IMAGES, mmap_mode="c", allow_pickle=False)
            labels = np.load(folder / _LABELS, allow_pickle=False)
            # Stores of format 1 hold every item.
            whole = not (folder / _POSITIONS).exists()
            positions = np.arange(len(labels)) if whole else np.load(folder / _POSITIONS, allow_pickle=False)
            unreadable = [Unreadable(**entry) for entry in meta.get("unreadable", [])]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise CacheError(f"no readable image store in {folder}, delete it: {error}") from error
        class_ids, numbered = np.unique(labels, return_inverse=True)
        return cls(folder, images, numbered.astype(np.int64), class_ids, positions, unreadable, meta["digest"])

    @classmethod
    def build(
        cls,
        view: RawView,
        found: Survey,
        folder: str | Path,
        *,
        max_size: int = MAX_SIZE,
        on_unreadable: OnUnreadable = "raise",
        num_workers: int | None = None,
        stage: Stage | None = None,
    ) -> Self:
        """Decodes every image once and writes the store into an existing folder.

        Args:
            view: the raw items.
            found: their survey.
            max_size: bound on the longer side of the working copy, in pixels.
            on_unreadable: whether images that cannot be decoded are an error or left out.
            num_workers: processes to decode with; chosen from the machine and the dataset's size when None.

        Raises:
            UnreadableError: an image is damaged, and that is an error.
        """
        folder = Path(folder)
        height, width = found.working_size(max_size)
        decode = _Decode(found.levels, found.channels, height, width)
        left, unreadable = [], []
        with (folder / _IMAGES).open("wb") as file:
            _write_header(file, (len(found.readable), height, width, found.channels))
            # Written in sequence, not through a map: a full disk is then an error and not a bus error.
            results = _over_items(view, found.readable, decode, num_workers, stage)
            for position, result in zip(found.readable.tolist(), results, strict=True):
                if not isinstance(result, UnreadableError):
                    file.write(result.tobytes())
                    left.append(position)
                elif on_unreadable == "raise":
                    raise result
                else:
                    unreadable.append(_unreadable(position, result))
            if unreadable:
                file.seek(0)
                _write_header(file, (len(left), height, width, found.channels))
        positions = np.array(left, np.int64)
        np.save(folder / _LABELS, found.labels[positions], allow_pickle=False)
        np.save(folder / _POSITIONS, positions, allow_pickle=False)
        facts = {"digest": found.digest, "unreadable": [dataclasses.asdict(entry) for entry in unreadable]}
        (folder / _META).write_text(json.dumps({"format": FORMAT, **facts}))
        return cls.open(folder)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Of the same length for every count of images: it is padded."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


@dataclasses.dataclass(frozen=True)
class _Decode:
    levels: Levels
    channels: int
    height: int
    width: int

    def __call__(self, view: RawView, index: int) -> Pixels:
        record = view.read(index)
        with naming_item(index, record.file):
            colour = to_eight_bit(record.image, self.levels, self.channels).colour
        return resize(colour, self.height, self.width)


def read_images(view: RawView, found: Survey, positions: Iterable[int], size: tuple[int, int]) -> Pixels:
    """Decodes items of a surveyed dataset into memory: uint8 [M,H,W,C] of a size (height, width)."""
    decode = _Decode(found.levels, found.channels, *size)
    return np.stack([decode(view, position) for position in positions])


def resize(colour: Pixels, height: int, width: int) -> Pixels:
    """uint8 [H,W,C] at another size, antialiased; the same array where the size agrees."""
    if colour.shape[:2] == (height, width):
        return colour
    image = Image.fromarray(colour[..., 0] if colour.shape[2] == 1 else colour)
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, -1)


class _Mapped:
    """Items of a view, each passed through a function; errors come back as values, with their message intact."""

    def __init__(
        self, view: RawView, positions: npt.NDArray[np.int64], function: Callable[[RawView, int], Any]
    ) -> None:
        self.view, self.positions, self.function = view, positions, function

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, place: int) -> Any:
        index = int(self.positions[place])
        try:
            with naming_item(index):
                return self.function(self.view, index)
        except UnpoisonError as error:
            return error


def _as_is(batch: list[Any]) -> list[Any]:
    return batch


def _end_with_parent(_: int) -> None:
    """Ends a worker whose parent was killed: blocked on a full pipe, it would stay forever and keep open files."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _workers(count: int) -> int:
    # Daemonic processes, such as DataLoader workers, may not have children.
    if multiprocessing.current_process().daemon or count < _SMALL:
        return 0
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _over_items(
    view: RawView,
    positions: npt.NDArray[np.int64],
    function: Callable[[RawView, int], Any],
    num_workers: int | None,
    stage: Stage | None,
) -> Iterator[Any]:
    """What a function gives for the items at some positions, or the `UnreadableError` that it raises there."""
    loader: DataLoader[Any] = DataLoader(
        _Mapped(view, positions, function),  # type: ignore[arg-type]
        batch_size=_BATCH,
        num_workers=_workers(len(positions)) if num_workers is None else num_workers,
        collate_fn=_as_is,
        worker_init_fn=_end_with_parent,
        # A generator of its own leaves the global random state alone.
        generator=torch.Generator(),
    )
    for number, batch in enumerate(loader, 1):
        for result in batch:
            if isinstance(result, UnpoisonError) and not isinstance(result, UnreadableError):
                raise result
            yield result
        if stage is not None:
            stage.update(number / len(loader))
