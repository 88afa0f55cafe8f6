"""Shallow copies of datasets, and of what they wrap, with stand-ins for their transforms."""

import copy
import sys
from collections.abc import Iterator
from typing import Any

from torch.utils.data import ConcatDataset, Subset

from .encoded import Encoded
from .hugging_face import RawHuggingFace, is_hugging_face
from .items import FOUND, Keys
from .steps import StandIn

LAZY_CONTAINERS = (Subset.__getitem__, ConcatDataset.__getitem__)
_TRANSFORMS = ("transform", "target_transform", "transforms")


def peel(dataset: Any, chosen: Keys, *, deep: bool, lazy: bool) -> Any:
    """A copy of a dataset whose items are raw.

    Args:
        dataset: stays as it is.
        chosen: the fields of its items that the user names.
        deep: whether to peel what an unknown wrapper wraps, too.
        lazy: whether images may be `Encoded`: only where nothing between the file and us looks at them.
    """
    if hasattr(type(dataset), "unpoison_raw"):
        return dataset.unpoison_raw()
    if is_hugging_face(dataset):
        return RawHuggingFace(dataset, lazy, chosen)
    attributes = getattr(dataset, "__dict__", None)
    if attributes is None:
        return dataset
    raw = _shallow_copy(dataset)
    for name in _TRANSFORMS:
        if callable(attributes.get(name)):
            raw.__dict__[name] = StandIn(name, attributes[name])
    container = type(dataset).__getitem__ in LAZY_CONTAINERS
    if container or deep:
        # Other wrappers may name the fields anew.
        inner, lazily = chosen if container else FOUND, lazy and container
        if hasattr(attributes.get("dataset"), "__getitem__"):
            raw.__dict__["dataset"] = peel(attributes["dataset"], inner, deep=deep, lazy=lazily)
        if isinstance(attributes.get("datasets"), list | tuple):
            raw.__dict__["datasets"] = [peel(child, inner, deep=deep, lazy=lazily) for child in attributes["datasets"]]
    if lazy:
        _keep_bytes(raw)
    return raw


def transforms_of(dataset: Any) -> Iterator[tuple[Any, str, Any]]:
    """The transforms of a dataset and of what it wraps: whose attribute, its name and value.

    What looks after itself is left out: a Hugging Face dataset, and one that hands out its items raw.
    """
    attributes = getattr(dataset, "__dict__", None)
    if attributes is None or hasattr(type(dataset), "unpoison_raw") or is_hugging_face(dataset):
        return
    for name in _TRANSFORMS:
        if name in attributes or hasattr(type(dataset), name):
            yield dataset, name, attributes.get(name)
    children = attributes.get("datasets")
    for child in (attributes.get("dataset"), *(children if isinstance(children, list | tuple) else ())):
        if hasattr(child, "__getitem__"):
            yield from transforms_of(child)


def own_transform(dataset: Any, name: str) -> Any:
    """A transform of a dataset, or of what it wraps where it has no such attribute itself; None where none has."""
    if hasattr(dataset, name):
        return getattr(dataset, name)
    if isinstance(dataset, ConcatDataset):
        first, *others = [own_transform(child, name) for child in dataset.datasets]
        return first if all(other is first for other in others) else None
    child = getattr(dataset, "dataset", None)
    return None if child is None else own_transform(child, name)


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
        raw.loader = load_rgb


def load_rgb(path: str) -> Encoded:
    return Encoded.read(path, mode="RGB")
