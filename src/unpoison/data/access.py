"""The raw items of any map-style dataset, and its transforms re-applied to a changed item.

The user's objects are never changed. A shallow copy of the dataset, and of the datasets that it wraps, gets
stand-ins for its transforms: each hands its input through and notes how it was called. Reading an item thus yields
the raw item together with the calls to replay on it, in their order, however deep the wrappers are nested.
"""

import enum
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, IterableDataset, Subset

from ..errors import DatasetError, UnreadableError
from .encoded import Encoded, describe, file_of
from .hugging_face import feature_keys, is_hugging_face
from .images import fingerprint, is_image
from .index import index_path
from .items import FOUND, Keys, class_of, find_keys, put, with_parts
from .origins import Origins, is_folder, origins_of
from .overrides import apply_to_image, wants_keywords
from .peeling import LAZY_CONTAINERS, load_rgb, peel, transforms_of
from .steps import NotFoundAgain, Replay, Step, collecting_steps, is_chain, note_again


class _Keep(enum.Enum):
    KEEP = "keep the wrapped dataset's transform"


KEEP: Final = _Keep.KEEP

_PROBES, _MANY_PROBES, _ROUNDS, _SEEDS = 8, 512, 8, 4
_MANY_ROUNDS = 32
"""Of all probes together, so many reads that what fires in 2 % of them fires in 99 % of all cases."""
_RAW_INSTEAD = "pass the raw dataset and give the augmentation as `transform=`"


class Record:
    """One raw item.

    Args:
        verified: whether replays were found equal to the dataset's own items where a transform's results are not
            found again in the item.

    Attributes:
        item: as the dataset gives it without its transforms; its image may be `Encoded`.
    """

    def __init__(self, index: int, item: Any, keys: Keys, steps: list[Step], verified: bool = True) -> None:
        self.index, self.item, self.keys, self.steps, self._verified = index, item, keys, steps, verified

    @property
    def stored_image(self) -> Any:
        """The image; `Encoded` where it comes straight from a file."""
        return self.item[self.keys.image]

    @cached_property
    def image(self) -> Any:
        """The image, decoded: what the transforms are given.

        Raises:
            UnreadableError: the file is missing or damaged.
        """
        with naming_item(self.index, self.file):
            return self.stored_image.decode() if isinstance(self.stored_image, Encoded) else self.stored_image

    @property
    def file(self) -> str:
        """The path of the image's file, only a name where it has none of its own; "" where it is not known."""
        return file_of(self.stored_image)

    @property
    def label(self) -> Any:
        return self.item[self.keys.label]

    @cached_property
    def replay(self) -> Replay:
        """The calls of the transforms, as they lead to the item."""
        return Replay(self.steps, self.item, self.keys)

    def digest(self) -> bytes:
        """sha256 of the exact image and the class."""
        return fingerprint(self.stored_image, class_of(self.label))

    def finish(
        self, image: Any = KEEP, label: Any = KEEP, *, transform: Any = KEEP, target_transform: Any = KEEP
    ) -> Any:
        """The item with another image and label, and the transforms re-applied.

        Args:
            image: replaces the raw image.
            label: replaces the raw label.
            transform: used on the image instead of the dataset's own transforms; None for none.
            target_transform: used on the label instead of the dataset's own; None for none.

        Raises:
            DatasetError: the transforms cannot be called as the dataset calls them.
        """
        image, label = self.image if image is KEEP else image, self.label if label is KEEP else label
        given = transform is not KEEP and transform is not None
        joint: Step | None = None
        if not self.steps:
            item = self._without_steps(image, label)
        elif is_chain(self.steps, self.item, self.keys):
            # What `Replay` comes to here, in a fraction of the time.
            for step in self.steps:
                if step.args[0] is self.label:
                    label = step.function(label) if target_transform is KEEP else label
                else:
                    image = step.function(image) if transform is KEEP else image
            item = put(self.item, self.keys, image, label)
        else:
            if transform is KEEP and not self._verified:
                self.check_found()
            joint = self._joint(transform) if given else None
            if joint is not None:
                self.check_found()

            def run(step: Step, inputs: Any) -> Any:
                if step is joint:
                    return step.call(inputs, transform)
                own = (target_transform if step.name == "target_transform" else transform) is KEEP
                return step.call(inputs, step.function) if own else inputs

            item = self.replay(image, label, run)
        if given and joint is None:
            item = apply_to_image(transform, item, self.keys)
        if target_transform is not KEEP and target_transform is not None:
            item = with_parts(item, {self.keys.label: target_transform(item[self.keys.label])})
        return item

    def note_again(self, image: Any, label: Any) -> Any:
        """The raw item with another image and label, for a dataset that is read through a wrapper: its transforms
        are noted as those of the item that is being read."""
        return self.replay(image, label, note_again) if self.steps else self._without_steps(image, label)

    def check_found(self) -> None:
        """Raises a NotFoundAgain if the result of a transform is not found again in the item."""
        name = self.replay.lost
        if name is not None:
            raise NotFoundAgain(
                f"what `{name}` returns is changed before it gets into the item, or part of it is left out, so that "
                "the call cannot be repeated on clean images: return its results as they are, or give the transform as "
                "`transform=`"
            )

    def _without_steps(self, image: Any, label: Any) -> Any:
        stored, item = self.stored_image, self.item
        if len(item) == 2:
            return put(item, self.keys, image, label)
        pairs = item.items() if isinstance(item, Mapping) else enumerate(item)
        # The image may lie in several fields.
        return with_parts(item, {**{key: image for key, part in pairs if part is stored}, self.keys.label: label})

    def _joint(self, transform: Any) -> Step | None:
        """The step in which the dataset transforms more than the image, which a transform of the user's takes over.

        Raises:
            DatasetError: the user's transform is not called that way.
        """
        for step in self.steps:
            if step.name != "target_transform" and self.replay.given_with_image(step) > 1:
                if wants_keywords(transform) != step.by_keyword:
                    raise DatasetError(
                        f"the dataset calls `{step.name}` with {'keywords' if step.by_keyword else 'several values'}, "
                        "to change more than the image: give a transform= that is called in the same way"
                    )
                return step
        return None


class RawView:
    """Raw items of a map-style dataset by position.

    Transforms that are set on the dataset, or on one that it wraps, take effect from the next item on.

    Args:
        dataset: anything with `__len__` and `__getitem__` whose items hold one image and one label.
        chosen: which fields of the items are image and label, where the user says so.
        cache: the cache folder. Folders of files that were surveyed there are not tried by reading a few items.

    Raises:
        DatasetError: the dataset is iterable-style or empty, no item can be read, one lacks a chosen field, or an
            augmentation is hidden inside, so that the same position yields different pixels.
    """

    def __init__(self, dataset: Any, chosen: Keys = FOUND, cache: Path | None = None) -> None:
        _check_map_style(dataset)
        self.dataset = dataset
        self._length = len(dataset)
        self._chosen, self._cache = chosen, cache
        self._look()

    def __len__(self) -> int:
        return self._length

    def read(self, index: int) -> Record:
        """The raw item at a position.

        Raises:
            UnreadableError: the item cannot be read.
            DatasetError: it is not (image, label, ...).
        """
        for owner, name, value in self._transforms:
            if owner.__dict__.get(name) is not value:
                self._look()
                break
        return _read(self._source, index)

    def _look(self) -> None:
        # First, so that what another thread sets meanwhile is noticed by the next read.
        self._transforms = list(transforms_of(self.dataset))
        self._source = _choose(self.dataset, self._chosen, self._cache)

    def change(self, record: Record, meanwhile: str) -> DatasetError:
        """The error for an item that is no longer what it was: it changed, or it is another one each time.

        Args:
            record: the item as it is now.
            meanwhile: what is to be said and done where it changed.
        """
        if any(self.read(record.index).digest() != record.digest() for _ in range(_ROUNDS)):
            return hidden_augmentation(record.index)
        return DatasetError(f"item {record.index} {meanwhile}")

    def origins(self) -> Origins | None:
        """What decides the items' content, where that is known without reading them."""
        origins = _origins(self._source)
        return origins if origins is not None and len(origins.paths) == len(self) else None

    def file_name(self, index: int) -> str:
        """The name of an item's image file and of the folder that it lies in; "" where that is not known."""
        return "/".join(PurePath(self.read(index).file).parts[-2:])

    def names(self) -> list[str] | None:
        """The names of the classes by number, where the dataset knows them."""
        names = _lookup(self.dataset, "classes")
        return [str(name) for name in names] if names is not None else None


class naming_item:
    """Turns any error into a `DatasetError` that names the item and, where it is known, its file."""

    __slots__ = ("_file", "_index")

    def __init__(self, index: int, file: str = "") -> None:
        self._index, self._file = index, file

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        item = f"item {self._index}"
        if isinstance(error, DatasetError):
            if str(error).startswith("item "):
                return
            if isinstance(error, UnreadableError):
                raise UnreadableError(error.reason, error.file or self._file, item) from error
            raise DatasetError(f"{item}{f' ({self._file})' if self._file else ''}: {error}") from error
        if isinstance(error, OSError) and error.filename is not None:
            raise UnreadableError(describe(error), str(error.filename), item) from error
        if isinstance(error, Exception):
            raise UnreadableError(repr(error), self._file, item) from error


def hidden_augmentation(index: int, advice: str = "") -> DatasetError:
    """The error for an item that is not the same each time."""
    return DatasetError(
        f"item {index} has other pixels or another label each time it is read, so an augmentation is hidden in the "
        f"dataset: {advice or _RAW_INSTEAD}"
    )


@contextmanager
def preserved_rng() -> Iterator[None]:
    """Leaves the global random states of Python, NumPy and torch (CPU) as they were."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


def _seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)


def _check_map_style(dataset: Any) -> None:
    kind = type(dataset).__name__
    if isinstance(dataset, IterableDataset) or kind == "IterableDataset":
        raise DatasetError(
            f"{kind} has no random access, which detection needs: pass a map-style dataset, e.g. list(dataset) or "
            "load_dataset(..., streaming=False), or clean a Hugging Face stream with unpoison.sanitize(stream)"
        )
    if isinstance(dataset, Mapping):
        raise DatasetError(f"{kind} holds several datasets ({', '.join(map(str, dataset))}): pass one of them")
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise DatasetError(f"{kind} is not a map-style dataset: it needs __getitem__ and __len__")
    if len(dataset) == 0:
        raise DatasetError("the dataset is empty: pass one with images of at least two classes")


class _Source(NamedTuple):
    """Where raw items come from."""

    raw: Any
    chosen: Keys
    verified: bool
    """Whether replays were found equal to the dataset's own items."""


def _read(source: _Source, index: int) -> Record:
    with naming_item(index), collecting_steps() as steps:
        item = source.raw[index]
        keys = _keys(source, item)
        if item[keys.image] is None:
            raise UnreadableError("the image is missing")
        return Record(index, item, keys, steps, source.verified)


def _keys(source: _Source, item: Any) -> Keys:
    raw = source.raw
    while type(raw).__getitem__ in LAZY_CONTAINERS:
        raw = raw.dataset if hasattr(raw, "dataset") else raw.datasets[0]
    keys = getattr(raw, "keys_by_features", None)
    return keys if isinstance(keys, Keys) and isinstance(item, Mapping) else find_keys(item, source.chosen)


def _choose(dataset: Any, chosen: Keys, cache: Path | None) -> _Source:
    """The deepest peeling whose replayed items equal the dataset's own, given equal random states."""
    deepest = _Source(peel(dataset, chosen, deep=True, lazy=True), chosen, verified=True)
    if cache is not None and _was_surveyed(deepest, cache):
        return deepest
    with preserved_rng():
        indices, failures = _probes(dataset, chosen)
        source = _peeled(dataset, chosen, indices)
        for index, failure in failures.items():
            if _is_readable(source, index):  # then it is the dataset's own transform that fails
                raise failure
        return source


def _origins(source: _Source) -> Origins | None:
    origins = origins_of(source.raw, load_rgb)
    # In other fields lie other images and labels.
    return None if origins is None else origins._replace(names=origins.names | {f"fields {source.chosen}"})


def _was_surveyed(source: _Source, cache: Path) -> bool:
    origins = _origins(source) if _is_known(source.raw) else None
    return origins is not None and index_path(cache, origins).exists()


def _is_known(raw: Any) -> bool:
    """Whether nothing but torchvision's folders and PyTorch's containers is peeled, so that no item need be tried."""
    if type(raw).__getitem__ is Subset.__getitem__:
        return _is_known(raw.dataset)
    if type(raw).__getitem__ is ConcatDataset.__getitem__:
        return all(map(_is_known, raw.datasets))
    return is_folder(raw, load_rgb)


def _peeled(dataset: Any, chosen: Keys, indices: list[int]) -> _Source:
    reason = ""
    for deep, lazy in ((True, True), (False, True)):
        raw = peel(dataset, chosen, deep=deep, lazy=lazy)
        if raw is dataset:
            break
        own = _own_items(dataset, indices)
        try:
            source = _Source(raw, chosen, verified=True)
            # Where a call cannot be followed, it must not be random, not even rarely.
            followed = all(_read(source, index).replay.lost is None for index in own)
            verified = _reproduces(source, own) and _repeats(dataset, own, 1 if followed else _MANY_ROUNDS)
            if not verified:
                _check_followed(_Source(raw, chosen, verified=False), dataset, own)
        except Exception as error:  # any failure of foreign code on raw items: this peeling is not the right one
            cause = error.__cause__ or error
            reason = reason or (str(cause) if isinstance(cause, NotFoundAgain) else "")
            continue
        source = _Source(raw, chosen, verified)
        _check_stable(source, indices, "")
        return source
    source = _Source(dataset, chosen, verified=True)
    _check_stable(source, indices, reason)
    return source


def _probes(dataset: Any, chosen: Keys) -> tuple[list[int], dict[int, UnreadableError]]:
    """A few positions, spread over the dataset, whose items can be read, and the errors of others among them.

    Raises:
        UnreadableError: none of many positions can be read.
    """
    failures: dict[int, UnreadableError] = {}
    for count in (_PROBES, _MANY_PROBES):
        found = []
        for index in sorted({round(i) for i in np.linspace(0, len(dataset) - 1, count)} - failures.keys()):
            try:
                with naming_item(index):
                    item = dataset[index]
                    _load(item)
                    if _lacks_image(dataset, chosen, item):
                        raise UnreadableError("the image is missing")
                found.append(index)
            except UnreadableError as error:
                failures[index] = error
        if found:
            return found[:: -(-len(found) // _PROBES)], failures
    raise next(iter(failures.values()))


def _load(item: Any) -> None:
    """Decodes images that were opened and not read yet."""
    for value in item.values() if isinstance(item, Mapping) else item if isinstance(item, tuple | list) else ():
        if isinstance(value, Image.Image):
            value.load()


def _lacks_image(dataset: Any, chosen: Keys, item: Any) -> bool:
    try:
        if is_hugging_face(dataset):
            keys = feature_keys(dataset.features, chosen)
        else:
            keys = _keys(_Source(dataset, chosen, verified=True), item)
    except DatasetError:  # what is wrong with it, the reading of raw items says
        return False
    return keys is not None and isinstance(item, Mapping) and item.get(keys.image, item) is None


def _is_readable(source: _Source, index: int) -> bool:
    try:
        with naming_item(index):
            record = _read(source, index)
            _load((record.image,))
    except DatasetError:
        return False
    return True


def _own_items(dataset: Any, indices: list[int]) -> dict[int, Any]:
    """Items as the dataset itself gives them, for one random state."""
    items = {}
    for index in indices:
        with naming_item(index):
            _seed_all(0)
            items[index] = dataset[index]
    return items


def _reproduces(source: _Source, own: dict[int, Any]) -> bool:
    """Whether replayed items equal the dataset's own, for the same random state."""
    for index, item in own.items():
        _seed_all(0)
        record = _read(source, index)
        try:
            same = _same(item, record.finish())
        except Exception:
            record.check_found()
            raise
        if not same:
            return False
    return True


def _repeats(dataset: Any, own: dict[int, Any], rounds: int) -> bool:
    """Whether the dataset itself gives the same items again for the same random state."""
    return all(_same(own[index], item) for _ in range(rounds) for index, item in _own_items(dataset, list(own)).items())


def _check_followed(source: _Source, dataset: Any, own: dict[int, Any]) -> None:
    """Where replays cannot be compared, since transforms have random states of their own, all calls must be followed.

    Raises:
        DatasetError: they can be compared, and differ, or a call cannot be followed.
    """
    records = [_read(source, index) for index in own]
    for record in records:
        record.check_found()
    # Rare augmentations may be the same a few times by chance.
    if _repeats(dataset, own, _ROUNDS):
        raise DatasetError("the replayed items differ")
    for record in records:
        record.finish()


def _check_stable(source: _Source, indices: list[int], reason: str) -> None:
    for index in indices:
        digests = set()
        # What cannot be followed may be random, if only rarely.
        for seed in range(_MANY_ROUNDS if reason else _SEEDS):
            _seed_all(seed)
            record = _read(source, index)
            with naming_item(index):
                digests.add(fingerprint(record.stored_image, repr(record.label)))
        if len(digests) > 1:
            raise hidden_augmentation(index, reason)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Image.Image) and isinstance(b, Image.Image):
        return fingerprint(a, 0) == fingerprint(b, 0)
    if type(a) is not type(b):
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, torch.Tensor | np.ndarray):
        return fingerprint(a, 0) == fingerprint(b, 0) if is_image(a) else bool((a == b).all())
    return bool(a == b)


def _lookup(dataset: Any, name: str) -> Any:
    """An attribute of a dataset or of what it wraps; the class names of a Hugging Face dataset as `classes`."""
    if is_hugging_face(dataset):
        keys = feature_keys(dataset.features)
        return getattr(dataset.features[keys.label], "names", None) if keys is not None and name == "classes" else None
    value = getattr(dataset, name, None)
    if value is not None:
        return value
    if isinstance(dataset, ConcatDataset):
        values = [_lookup(child, name) for child in dataset.datasets]
        return values[0] if all(_same(value, values[0]) for value in values) else None
    child = getattr(dataset, "dataset", None)
    return None if child is None else _lookup(child, name)
