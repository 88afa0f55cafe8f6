"""Rows of the files that the sets are drawn from: labels, names and pictures."""

import io
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from unpoison.data.labelled import LabelledImages
from unpoison.errors import DatasetError

from ..data import images_file, read_table
from .cases import Draw, Source

Labels = npt.NDArray[np.int64]
Split = Literal["train", "test"]

WITH_TEST: tuple[Source, ...] = ("cifar10", "gtsrb", "clothing")
"""Sources that have a file of test images; of the others they are held out of the one that there is."""


def source_size(source: Source, split: Split) -> int:
    """Rows of a source's file.

    Raises:
        DatasetError: the file is missing.
    """
    return len(_digits()) if source == "digits" else _table(source, split).num_rows


def read_labels(draw: Draw, split: Split) -> Labels:
    """int64 [rows]: the labels that a draw goes by. Test images have no labels but the file's own.

    Raises:
        DatasetError: a file is missing.
    """
    if draw.source == "digits":
        return _digits().labels
    if draw.labels == ("label",) or (draw.labels == ("aggregate",) and split == "test"):
        return _numbers(_table(draw.source, split)["label"])
    table = _beside("cifar10n/labels" if draw.labels == ("aggregate",) else "celeba/attributes")
    number = np.zeros(table.num_rows, np.int64)
    for name in draw.labels:
        number = 2 * number + _numbers(table[name])
    return number


def read_truth(draw: Draw) -> Labels:
    """int64 [rows]: the right labels of the training images, where a draw goes by labels that may be wrong.

    Raises:
        DatasetError: a file is missing.
    """
    return (
        _numbers(_beside("cifar10n/labels")["clean"]) if draw.labels == ("aggregate",) else read_labels(draw, "train")
    )


def read_names(source: Source, split: Split) -> list[str]:
    """The files that the images once were, by row; frames of one track sort together."""
    names: list[str] = _table(source, split)["image"].combine_chunks().field("path").to_pylist()
    return names


def read_pictures(source: Source, split: Split, rows: Labels) -> list[Image.Image]:
    """The images of rows, decoded, in their own sizes.

    Raises:
        DatasetError: the file is missing.
    """
    if source == "digits":
        return [Image.fromarray(_digits().images[row, ..., 0]) for row in rows]
    encoded = _table(source, split)["image"].combine_chunks().field("bytes")
    return [Image.open(io.BytesIO(encoded[int(row)].as_py())).convert("RGB") for row in rows]


@lru_cache(maxsize=2)
def _table(source: Source, split: Split) -> Any:
    return read_table(source, split)


@lru_cache(maxsize=2)
def _beside(name: str) -> Any:
    """A table of labels that lies beside the images."""
    import pyarrow.parquet

    path = images_file("cifar10", "train").parents[1] / f"{name}.parquet"
    if not path.exists():
        raise DatasetError(f"set UNPOISON_DATA to a folder that holds {name}.parquet, too")
    return pyarrow.parquet.read_table(path)


def _numbers(column: Any) -> Labels:
    values: Labels = np.asarray(column.to_pylist()).astype(np.int64)
    return values


@lru_cache(maxsize=1)
def _digits() -> LabelledImages:
    from unpoison.demo import load_digits

    return load_digits()
