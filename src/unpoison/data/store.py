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
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from ..errors import DamagedError, DatasetError, UnpoisonError, UnreadableError
from ..image_files import ImageFiles
from ..progress import Stage
from ..report import Unreadable
from .access import RawView
from .checksums import MAX_FILE, Checked
from .eight_bit import Levels, to_eight_bit
from .encoded import Encoded
from .facts import Fact, Facts, Texts, Words
from .folders import check_classes, hidden_folder, hidden_folders
from .formats import member_extension
from .images import UNREADABLE, colour_channels, fingerprint, image_size, peak
from .index import Index
from .item_errors import hidden_augmentation, naming_item
from .items import class_of
from .pixels import Pixels, resize
from .ranges import white_levels
from .reading import map_array, parsing
from .record import Record

OnUnreadable = Literal["raise", "skip"]
FORMAT = 4
"""2 added the positions of the items and those that cannot be decoded, 3 the digest of the pixels, 4 that of each
image."""
MAX_SIZE, MIN_SIZE = 64, 8
_IMAGES, _LABELS, _POSITIONS, _META = "images.npy", "labels.npy", "positions.npy", "meta.json"
_CHECKSUMS = "checksums.npy"
_BATCH, _SMALL = 64, 2000
_AGAIN = 256
"""Items that are read twice: an augmentation that is hidden in 2 % of the reads then shows in one of them."""


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
    plain_jpegs: npt.NDArray[np.bool_]
    """bool [N]; see `Encoded.is_plain_jpeg`."""
    form: str
    """sha256, in hexadecimal, of where image and label lie in each item, and of how its image is decoded."""
    paths: Texts
    """Of the image of each item; empty where it comes from no file."""
    readable: npt.NDArray[np.int64]
    """int64 [M], ascending; positions of the items that can be read, as far as is known without decoding."""
    unreadable: list[Unreadable]
    """The others."""
    hidden: dict[str, int]
    """Hidden folders that images lie in, and how many of them."""

    @cached_property
    def files(self) -> ImageFiles | None:
        """Where the images lie; None where they come from no files."""
        return ImageFiles.of(self.paths.all())

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
    index: Index | None = None,
    trusted: bool = True,
) -> Survey:
    """Reads every raw item once and checks it.

    Args:
        view: the raw items.
        on_unreadable: whether items that cannot be read are an error or left out.
        num_workers: processes to read with; chosen from the machine and the dataset's size when None.
        index: of what earlier surveys found, which is brought up to date.
        trusted: whether items that are in it, unchanged, need not be read.

    Raises:
        UnreadableError: an item cannot be read, and that is an error.
        DatasetError: none can be read, an item is malformed, is another one each time, has another range of values
            than the others, its label is missing, fractional or negative, or there are fewer than two classes or a
            class with a single image.
    """
    facts, readable, failed = _gather(view, on_unreadable, num_workers, stage, index, trusted)
    if view.origins() is None:  # code of others may have a part in it
        _check_stable(view, facts, readable, num_workers)
    names = _class_names([*_classes(facts), *(fact.label for fact in failed.values())], view.names())
    labels, paths = _spread(_numbers(facts, names), readable, len(view), -1), facts.texts("file")
    digests = _spread(facts.array("digest"), readable, len(view), 0)
    if failed:
        files = _spread(np.array(paths.all(), object), readable, len(view), "")
        for position, fact in failed.items():
            labels[position] = _number(fact.label, names)
            digests[position] = np.frombuffer(fact.digest, np.uint8)
            files[position] = fact.file
        paths = Texts.of(files.tolist())
    found = Survey(
        labels=labels,
        names=names,
        text_labels=facts.text_labels,
        sizes=_spread(facts.array("size"), readable, len(view), 0),
        channels=int(facts.array("channels").max()),
        levels=white_levels(facts, readable),
        digests=digests,
        extension=member_extension(_each(facts.words("extension"))),
        only_pixels=bool(facts.array("only_pixels").all()),
        plain_jpegs=_spread(facts.array("plain_jpeg"), readable, len(view), False),
        form=_form(facts.words("form")),
        paths=paths,
        readable=readable,
        unreadable=[_unreadable(n, fact.error) for n, fact in failed.items() if fact.error is not None],
        hidden=hidden_folders(_each(facts.words("hidden"))),
    )
    check_classes(view, found, found.readable)
    return found


def _gather(
    view: RawView,
    on_unreadable: OnUnreadable,
    num_workers: int | None,
    stage: Stage | None,
    index: Index | None,
    trusted: bool,
) -> tuple[Facts, npt.NDArray[np.int64], dict[int, Fact]]:
    """The facts on the items that can be read, which the index knows or else are read, their positions, and what is
    known of the others by position."""
    positions, known = index.known() if index is not None and trusted else (np.empty(0, np.int64), None)
    unread = np.ones(len(view), np.bool_)
    unread[positions] = False
    unknown = np.flatnonzero(unread)
    if known is not None and not len(unknown):
        return known, positions, {}
    found: dict[int, Fact] = {}
    for position, fact in zip(unknown.tolist(), _over_items(view, unknown, _fact, num_workers, stage), strict=True):
        if fact.error is not None and on_unreadable == "raise":
            raise fact.error
        found[position] = fact
    failed = {position: fact for position, fact in found.items() if fact.error is not None}
    if len(failed) == len(view):
        raise DatasetError(f"none of the {len(view)} items can be read, the first because: {failed[0].error}")
    readable = np.setdiff1d(np.arange(len(view)), list(failed)).astype(np.int64)
    fresh = Facts.of([fact for fact in found.values() if fact.error is None])
    if known is not None and len(known):
        order = np.argsort(np.concatenate([positions, np.setdiff1d(unknown, list(failed))]))
        fresh = known.with_others(fresh).take(order)
    if index is not None:
        index.save(fresh, readable)
    return fresh, readable, failed


def _check_stable(view: RawView, facts: Facts, positions: npt.NDArray[np.int64], num_workers: int | None) -> None:
    """Reads some items again.

    Raises:
        DatasetError: one is not what it was.
    """
    rows = np.unique(np.linspace(0, len(positions) - 1, _AGAIN).astype(np.int64))
    digests = facts.array("digest")
    for row, result in zip(rows, _over_items(view, positions[rows], _digest, num_workers, None), strict=True):
        if isinstance(result, UnreadableError):
            raise result
        if result != digests[row].tobytes():
            raise hidden_augmentation(int(positions[row]))


def _digest(view: RawView, index: int) -> bytes:
    return view.read(index).digest()


def _spread(values: npt.NDArray[Any], positions: npt.NDArray[np.int64], count: int, filler: Any) -> npt.NDArray[Any]:
    """[N,...] with values [M,...] at positions int64 [M], and the filler elsewhere; the same array where M is N."""
    if len(positions) == count:
        return values
    out = np.full((count, *values.shape[1:]), filler, values.dtype)
    out[positions] = values
    return out


def _each(words: Words) -> Iterator[str]:
    """Every one of many texts, in any order."""
    return chain.from_iterable(repeat(word, int(where.sum())) for word, where in words.used().items())


def _form(forms: Words) -> str:
    """sha256 of many texts, in hexadecimal."""
    digest = hashlib.sha256()
    for form, where in forms.used().items():
        digest.update(f"{form}\n".encode())
        digest.update(np.packbits(where).tobytes())
    return digest.hexdigest()


def _fact(view: RawView, index: int) -> Fact:
    try:
        record = view.read(index)
    except UnreadableError as error:
        return Fact(label=None, digest=UNREADABLE, error=error, file=_absolute(error.file))
    image = record.stored_image
    with naming_item(index, record.file):
        label = class_of(record.label)
    try:
        with naming_item(index, record.file):
            high = peak(image)
            return Fact(
                label=label,
                size=image_size(image),
                channels=colour_channels(image),
                kind=high.kind,
                peak=high.high,
                fractional=high.fractional,
                digest=fingerprint(image, label),
                extension=image.extension if isinstance(image, Encoded) and image.is_portable else "",
                only_pixels=isinstance(image, Encoded) and image.is_only_pixels,
                plain_jpeg=isinstance(image, Encoded) and image.is_plain_jpeg,
                form=f"{record.keys.image} {record.keys.label} {image.form if isinstance(image, Encoded) else ''}",
                hidden=hidden_folder(record.file),
                file=_absolute(record.file),
            )
    except UnreadableError as error:
        # A file that is repaired later, or damaged in another way, is another content.
        digest = fingerprint(image, label) if isinstance(image, Encoded) else UNREADABLE
        return Fact(label=label, digest=digest, error=error, file=_absolute(error.file))


def _absolute(file: str) -> str:
    """Of a record's file; "" where it is only a name, of what lies in a table or an archive."""
    return file if Path(file).is_absolute() else ""


def _unreadable(position: int, error: UnreadableError) -> Unreadable:
    return Unreadable(position=position, file=error.file, reason=error.reason)


def _classes(facts: Facts) -> list[int | str]:
    """Every class that occurs."""
    if facts.text_labels:
        return list(facts.words("label").used())
    found: list[int | str] = np.unique(facts.array("label")).tolist()
    return found


def _class_names(classes: list[int | str | None], names: list[str] | None) -> list[str] | None:
    """The names of the classes by number, from classes of which some are not known."""
    known = [value for value in classes if value is not None]
    kinds = {type(value) for value in known}
    if len(kinds) > 1:
        raise DatasetError("some labels are numbers and some are strings: use one kind")
    if kinds == {str}:
        texts = {str(value) for value in known}
        return names if names is not None and texts <= set(names) else sorted(texts)
    return names


def _numbers(facts: Facts, names: list[str] | None) -> npt.NDArray[np.int64]:
    """The classes' numbers, int64 [M]."""
    if not facts.text_labels:
        return facts.array("label").astype(np.int64)
    words = facts.words("label")
    return np.array([_number(word, names) for word in words.vocabulary], np.int64)[words.codes]


def _number(label: int | str | None, names: list[str] | None) -> int:
    if isinstance(label, str):
        return names.index(label) if names is not None and label in names else -1
    return -1 if label is None else label


class _Meta(msgspec.Struct):
    """What `meta.json` holds."""

    format: int
    digest: str
    pixels: str
    unreadable: list[Unreadable]


class ImageStore:
    """A dataset at working resolution, in a folder of checked files.

    Attributes:
        images: uint8 [M,H,W,C], memory-mapped copy-on-write: changes never reach the file.
        labels: int64 [M] in 0..num_classes-1, numbered without gaps.
        positions: int64 [M], ascending; where the images are in the dataset.
        unreadable: the items that turned out to be unreadable when they were decoded.
        folder: where it is.
        class_ids: int64 [num_classes]; the dataset's own number of each class.
        digest: sha256 of the dataset's content, in hexadecimal.
        pixels: sha256 of `images` and `labels`, in hexadecimal: of all that a method sees.
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
        pixels: str,
        checksums: npt.NDArray[np.uint8],
    ) -> None:
        self._checksums = checksums
        self.folder, self.images, self.labels, self.class_ids = folder, images, labels, class_ids
        self.positions, self.unreadable, self.digest, self.pixels = positions, unreadable, digest, pixels

    @property
    def num_classes(self) -> int:
        return len(self.class_ids)

    def rows(self, positions: Any) -> Any:
        """int64, of the shape of `positions`; where the items at these positions of the dataset are in `images`."""
        return np.searchsorted(self.positions, positions)

    def checked(self, row: int) -> Pixels:
        """uint8 [H,W,C]; one of the images, compared with what was written.

        Raises:
            DamagedError: it is not what was written.
        """
        image: Pixels = np.asarray(self.images[row])
        if hashlib.sha256(image.data).digest() != self._checksums[row].tobytes():
            raise DamagedError(self.folder / _IMAGES, f"image {row} is not the one that was written")
        return image

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Opens what `build` wrote, after its files were listed by `write_sums`. Its images are too many to be checked
        now: see `checked`.

        Raises:
            CacheError: the folder holds no store, a damaged one or one of a newer format.
        """
        folder = Path(folder)
        files = Checked(folder)
        meta = files.json(_META, _Meta, newest=FORMAT)
        labels, positions = files.array(_LABELS, "i", 1), files.array(_POSITIONS, "i", 1)
        checksums = files.array(_CHECKSUMS, "u", 2)
        images = map_array(folder / _IMAGES, MAX_FILE, "u", 4)
        with parsing(folder / _IMAGES):
            if images.shape[:1] != checksums.shape[:1] or images.dtype != np.uint8:
                raise ValueError("it holds other images")
        class_ids, numbered = np.unique(labels, return_inverse=True)
        return cls(
            folder, images, numbered.astype(np.int64), class_ids, positions, meta.unreadable, meta.digest, meta.pixels,
            checksums,
        )  # fmt: skip

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
    ) -> None:
        """Decodes every image once and writes the store into an existing folder.

        Args:
            view: the raw items.
            found: their survey.
            max_size: bound on the longer side of the working copy, in pixels.
            on_unreadable: whether images that cannot be decoded are an error or left out.
            num_workers: processes to decode with; chosen from the machine and the dataset's size when None.

        Raises:
            UnreadableError: an image is damaged, and that is an error.
            DatasetError: one has changed since it was surveyed.
        """
        folder = Path(folder)
        height, width = found.working_size(max_size)
        decode = _Decode(found.levels, found.channels, height, width, found.digests)
        seen = hashlib.sha256(repr((height, width, found.channels)).encode())
        left, unreadable, checksums = [], [], bytearray()
        with (folder / _IMAGES).open("wb") as file:
            _write_header(file, (len(found.readable), height, width, found.channels))
            # Written in sequence, not through a map: a full disk is then an error and not a bus error.
            results = _over_items(view, found.readable, decode, num_workers, stage)
            for position, result in zip(found.readable.tolist(), results, strict=True):
                if not isinstance(result, UnreadableError):
                    data = result.tobytes()
                    file.write(data)
                    seen.update(data)
                    checksums += hashlib.sha256(data).digest()
                    left.append(position)
                elif on_unreadable == "raise":
                    raise result
                else:
                    unreadable.append(_unreadable(position, result))
            if unreadable:
                file.seek(0)
                _write_header(file, (len(left), height, width, found.channels))
        positions = np.array(left, np.int64)
        labels = found.labels[positions]
        seen.update(np.unique(labels, return_inverse=True)[1].astype("<i8").tobytes())
        np.save(folder / _LABELS, labels, allow_pickle=False)
        np.save(folder / _POSITIONS, positions, allow_pickle=False)
        np.save(folder / _CHECKSUMS, np.frombuffer(checksums, np.uint8).reshape(-1, 32), allow_pickle=False)
        meta = _Meta(format=FORMAT, digest=found.digest, pixels=seen.hexdigest(), unreadable=unreadable)
        (folder / _META).write_text(json.dumps(msgspec.to_builtins(meta)))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Of the same length for every count of images: it is padded."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


@dataclasses.dataclass(frozen=True)
class _Decode:
    levels: Levels
    channels: int
    height: int
    width: int
    digests: npt.NDArray[np.uint8]

    def __call__(self, view: RawView, index: int) -> Pixels:
        record = view.read(index)
        with naming_item(index, record.file):
            colour = to_eight_bit(record.image, self.levels, self.channels).colour
        check_same(view, record, self.digests)
        return resize(colour, self.height, self.width)


def check_same(view: RawView, record: Record, digests: npt.NDArray[np.uint8]) -> None:
    """Checks that an item is the one that was surveyed, by the digests uint8 [N,32] of all.

    Raises:
        DatasetError: it has changed since, or is another one each time.
    """
    if record.digest() != digests[record.index].tobytes():
        raise view.change(record, 'changed while the dataset was being cleaned: run again, with verify="content"')


def read_images(view: RawView, found: Survey, positions: Iterable[int], size: tuple[int, int]) -> Pixels:
    """Decodes items of a surveyed dataset into memory: uint8 [M,H,W,C] of a size (height, width)."""
    decode = _Decode(found.levels, found.channels, *size, found.digests)
    return np.stack([decode(view, position) for position in positions])


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
