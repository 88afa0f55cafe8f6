"""The survey: every raw item is read once, and no file is decoded.

Labels, sizes, value ranges and the digest of the content decide whether anything needs to be decoded at all.
"""

import hashlib
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError, UnreadableError
from ..progress import Bar
from ..report import Unreadable
from .access import RawView
from .encoded import Encoded
from .facts import Fact, Facts, Texts, Words
from .folders import check_classes, hidden_folder, hidden_folders
from .formats import member_extension
from .images import UNREADABLE, colour_channels, fingerprint, image_size, peak
from .index import Index
from .item_errors import hidden_augmentation, naming_item, without_frames
from .items import class_of
from .ranges import white_levels
from .survey import MAX_SIDE, OnUnreadable, Survey
from .workers import over_items

_AGAIN = 256
"""Items that are read twice: an augmentation that is hidden in 2 % of the reads then shows in one of them."""


def survey(
    view: RawView,
    *,
    on_unreadable: OnUnreadable = "raise",
    num_workers: int | None = None,
    bar: Bar | None = None,
    index: Index | None = None,
    trusted: bool = True,
    max_side: int = MAX_SIDE,
) -> Survey:
    """Reads every raw item once and checks it.

    Args:
        view: the raw items.
        on_unreadable: whether items that cannot be read are an error or left out.
        num_workers: processes to read with; chosen from the machine and the dataset's size when None.
        index: of what earlier surveys found, which is brought up to date.
        trusted: whether items that are in it, unchanged, need not be read.
        max_side: see `Survey`.

    Raises:
        UnreadableError: an item cannot be read, and that is an error.
        DatasetError: none can be read, an item is malformed, is another one each time, has another range of values
            than the others, its label is missing, fractional or negative, or there are fewer than two classes or a
            class with a single image.
    """
    facts, readable, failed = _gather(view, on_unreadable, num_workers, bar, index, trusted)
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
        unreadable=[Unreadable.of(n, fact.error) for n, fact in failed.items() if fact.error is not None],
        hidden=hidden_folders(_each(facts.words("hidden"))),
        max_side=max_side,
    )
    check_classes(view, found, found.readable)
    return found


def _gather(
    view: RawView,
    on_unreadable: OnUnreadable,
    num_workers: int | None,
    bar: Bar | None,
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
    for position, fact in zip(unknown.tolist(), over_items(view, unknown, _fact, num_workers, bar), strict=True):
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
    for row, result in zip(rows, over_items(view, positions[rows], _digest, num_workers, None), strict=True):
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
        return Fact(label=None, digest=UNREADABLE, error=without_frames(error), file=_absolute(error.file))
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
        return Fact(label=label, digest=digest, error=without_frames(error), file=_absolute(error.file))


def _absolute(file: str) -> str:
    """Of a record's file; "" where it is only a name, of what lies in a table or an archive."""
    return file if Path(file).is_absolute() else ""


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
