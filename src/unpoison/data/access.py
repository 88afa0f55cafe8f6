"""The raw items of any map-style dataset, and its transforms re-applied to a changed item.

The user's objects are never changed. A shallow copy of the dataset, and of the datasets that it wraps, gets
stand-ins for its transforms: each hands its input through and notes how it was called. Reading an item thus yields
the raw item together with the calls to replay on it, in their order, however deep the wrappers are nested.
"""

import copy
import enum
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, IterableDataset, Subset

from ..errors import DatasetError, UnreadableError
from .hugging_face import RawHuggingFace, feature_keys, is_hugging_face
from .items import Keys, class_of, find_keys, put
from .pixels import Encoded, describe, fingerprint, is_image
from .steps import StandIn, Step, collecting_steps, replay


class _Keep(enum.Enum):
    KEEP = "keep the wrapped dataset's transform"


KEEP: Final = _Keep.KEEP

_TRANSFORMS = ("transform", "target_transform", "transforms")
_PROBES, _MANY_PROBES, _SEEDS = 8, 512, (0, 1, 2, 3)
_LAZY_CONTAINERS = (Subset.__getitem__, ConcatDataset.__getitem__)


class Record:
    """One raw item.

    Attributes:
        item: as the dataset gives it without its transforms; its image may be `Encoded`.
    """

    def __init__(self, index: int, item: Any, keys: Keys, steps: list[Step]) -> None:
        self.index, self.item, self.keys, self.steps = index, item, keys, steps

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
        image = self.stored_image
        if isinstance(image, Encoded):
            return image.path
        # Images that PIL opened know their file until they are converted.
        name = getattr(image, "filename", "") if isinstance(image, Image.Image) else ""
        return str(Path(name).absolute()) if isinstance(name, str) and name else ""

    @property
    def label(self) -> Any:
        return self.item[self.keys.label]

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
        """
        item = put(self.item, self.keys, self.image if image is KEEP else image, self.label if label is KEEP else label)
        for step in self.steps:
            if (target_transform if step.style == "label" else transform) is KEEP:
                item = replay(step, item, self.keys)
        image, label = transform, target_transform
        if callable(image):
            item = put(item, self.keys, image(item[self.keys.image]), item[self.keys.label])
        if callable(label):
            item = put(item, self.keys, item[self.keys.image], label(item[self.keys.label]))
        return item


class RawView:
    """Raw items of a map-style dataset by position.

    Args:
        dataset: anything with `__len__` and `__getitem__` whose items hold one image and one label.

    Raises:
        DatasetError: the dataset is iterable-style or empty, no item can be read, or an augmentation is hidden
            inside, so that the same position yields different pixels.
    """

    def __init__(self, dataset: Any) -> None:
        _check_map_style(dataset)
        self.dataset = dataset
        self._length = len(dataset)
        self._raw = _choose(dataset)

    def __len__(self) -> int:
        return self._length

    def read(self, index: int) -> Record:
        """The raw item at a position.

        Raises:
            UnreadableError: the item cannot be read.
            DatasetError: it is not (image, label, ...).
        """
        return _read(self._raw, index)

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


def _read(raw: Any, index: int) -> Record:
    with naming_item(index), collecting_steps() as steps:
        item = raw[index]
        keys = _keys(raw, item)
        if item[keys.image] is None:
            raise UnreadableError("the image is missing")
        return Record(index, item, keys, steps)


def _keys(raw: Any, item: Any) -> Keys:
    while type(raw).__getitem__ in _LAZY_CONTAINERS:
        raw = raw.dataset if hasattr(raw, "dataset") else raw.datasets[0]
    keys = getattr(raw, "keys_by_features", None)
    return keys if isinstance(keys, Keys) and isinstance(item, Mapping) else find_keys(item)


def _choose(dataset: Any) -> Any:
    """The deepest peeling whose replayed items equal the dataset's own, given equal random states."""
    with preserved_rng():
        indices, failures = _probes(dataset)
        for raw in (_peel(dataset, deep=True, lazy=True), _peel(dataset, deep=False, lazy=True), dataset):
            if raw is dataset or _reproduces(raw, dataset, indices):
                _check_stable(raw, indices)
                break
        for index, failure in failures.items():
            if _is_readable(raw, index):  # then it is the dataset's own transform that fails
                raise failure
        return raw


def _probes(dataset: Any) -> tuple[list[int], dict[int, UnreadableError]]:
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
                    if _lacks_image(dataset, item):
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


def _lacks_image(dataset: Any, item: Any) -> bool:
    try:
        keys = feature_keys(dataset.features) if is_hugging_face(dataset) else _keys(dataset, item)
    except DatasetError:  # what is wrong with it, the reading of raw items says
        return False
    return keys is not None and isinstance(item, Mapping) and item.get(keys.image, item) is None


def _is_readable(raw: Any, index: int) -> bool:
    try:
        with naming_item(index):
            record = _read(raw, index)
            _load((record.image,))
    except DatasetError:
        return False
    return True


def _reproduces(raw: Any, dataset: Any, indices: list[int]) -> bool:
    for index in indices:
        with naming_item(index):
            _seed_all(0)
            first = dataset[index]
            _seed_all(0)
            second = dataset[index]
        try:
            _seed_all(0)
            replayed = _read(raw, index).finish()
        except Exception:  # any failure of foreign code on raw items: this peeling is not the right one
            return False
        if _same(first, second) and not _same(first, replayed):
            return False
    return True


def _check_stable(raw: Any, indices: list[int]) -> None:
    for index in indices:
        digests = set()
        for seed in _SEEDS:
            _seed_all(seed)
            with naming_item(index):
                record = _read(raw, index)
                digests.add(fingerprint(record.stored_image, repr(record.label)))
        if len(digests) > 1:
            raise DatasetError(
                f"item {index} has other pixels or another label each time it is read, so an augmentation is hidden in "
                "the dataset: pass the raw dataset and give the augmentation as `transform=`"
            )


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


def _peel(dataset: Any, deep: bool, lazy: bool) -> Any:
    """A copy of a dataset whose items are raw.

    Args:
        deep: whether to peel what an unknown wrapper wraps, too.
        lazy: whether images may be `Encoded`: only where nothing between the file and us looks at them.
    """
    if hasattr(type(dataset), "unpoison_raw"):
        return dataset.unpoison_raw()
    if is_hugging_face(dataset):
        return RawHuggingFace(dataset, lazy)
    attributes = getattr(dataset, "__dict__", None)
    if attributes is None:
        return dataset
    raw = _shallow_copy(dataset)
    for name in _TRANSFORMS:
        if callable(attributes.get(name)):
            raw.__dict__[name] = StandIn(name, attributes[name])
    container = type(dataset).__getitem__ in _LAZY_CONTAINERS
    if container or deep:
        if hasattr(attributes.get("dataset"), "__getitem__"):
            raw.__dict__["dataset"] = _peel(attributes["dataset"], deep, lazy and container)
        if isinstance(attributes.get("datasets"), list | tuple):
            raw.__dict__["datasets"] = [_peel(child, deep, lazy and container) for child in attributes["datasets"]]
    if lazy:
        _keep_bytes(raw)
    return raw


def _shallow_copy(dataset: Any) -> Any:
    try:
        raw = object.__new__(type(dataset))
    except TypeError:  # a subclass of a built-in type
        return copy.copy(dataset)
    # Not copy.copy, which never ends where __getattr__ forwards to self.dataset.
    raw.__dict__.update(dataset.__dict__)
    return raw


def _keep_bytes(raw: Any) -> None:
    """Lets a torchvision folder dataset hand out the files' bytes instead of decoded images."""
    folder = sys.modules.get("torchvision.datasets.folder")
    if folder is None or type(raw).__getitem__ is not folder.DatasetFolder.__getitem__:
        return
    from torchvision import get_image_backend

    if raw.loader in (folder.default_loader, folder.pil_loader) and get_image_backend() == "PIL":
        raw.loader = _load_rgb


def _load_rgb(path: str) -> Encoded:
    return Encoded.read(path, mode="RGB")


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
