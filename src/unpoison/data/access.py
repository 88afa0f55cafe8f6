"""The raw items of any map-style dataset, and its transforms re-applied to a changed item.

The user's objects are never changed. A shallow copy of the dataset, and of the datasets that it wraps, gets
stand-ins for its transforms: each hands its input through and notes how it was called. Reading an item thus yields
the raw item together with the calls to replay on it, in their order, however deep the wrappers are nested.
"""

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from torch.utils.data import ConcatDataset, IterableDataset

from ..errors import DatasetError
from .hugging_face import feature_keys, is_hugging_face
from .item_errors import hidden_augmentation
from .items import FOUND, Keys, same_parts
from .origins import Origins
from .peeling import transforms_of
from .probing import choose_source
from .record import Record

_ROUNDS = 8
"""Reads that tell an item that changed from one that is another one each time."""


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
        return self._source.read(index)

    def _look(self) -> None:
        # First, so that what another thread sets meanwhile is noticed by the next read.
        self._transforms = list(transforms_of(self.dataset))
        self._source = choose_source(self.dataset, self._chosen, self._cache)

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
        origins = self._source.origins()
        return origins if origins is not None and len(origins.paths) == len(self) else None

    def file_name(self, index: int) -> str:
        """The name of an item's image file and of the folder that it lies in; "" where that is not known."""
        return "/".join(PurePath(self.read(index).file).parts[-2:])

    def names(self) -> list[str] | None:
        """The names of the classes by number, where the dataset knows them."""
        names = _lookup(self.dataset, "classes")
        return [str(name) for name in names] if names is not None else None


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
        return values[0] if all(same_parts(value, values[0]) for value in values) else None
    child = getattr(dataset, "dataset", None)
    return None if child is None else _lookup(child, name)
