"""Where a dataset looks for its files: what else comes to lie there may be taken for data by the next run."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..image_files import ImageFiles
from .hugging_face import RawHuggingFace, is_hugging_face
from .origins import outside_files
from .reopened import ShardSet


def folders_searched(dataset: Any) -> Iterator[Path]:
    """The folders that torchvision takes all sub-folders of for classes."""
    folder = sys.modules.get("torchvision.datasets.folder")
    for part in _parts(dataset):
        if folder is not None and isinstance(part, folder.DatasetFolder):
            yield Path(part.root)


def folders_read(dataset: Any) -> Iterator[Path]:
    """These, and others that a dataset is read from, as far as its code is known."""
    yield from folders_searched(dataset)
    for part in _parts(dataset):
        if is_hugging_face(part):
            files = ImageFiles.of(outside_files(RawHuggingFace(part, lazy=True)))
            if files is not None:
                yield Path(files.folder)
        elif isinstance(part, ShardSet):
            yield part.folder


def _parts(dataset: Any) -> Iterator[Any]:
    """A dataset and those that it wraps."""
    yield dataset
    attributes = {} if is_hugging_face(dataset) else getattr(dataset, "__dict__", {})
    several = attributes.get("datasets")
    for child in (attributes.get("dataset"), *(several if isinstance(several, list | tuple) else ())):
        if child is not None:
            yield from _parts(child)
