"""Real images for the benchmarks and tests: Parquet files named by the environment variable UNPOISON_DATA."""

import io
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from unpoison.data.labelled import LabelledImages
from unpoison.errors import DatasetError


def images_file(name: str, split: Literal["train", "test"]) -> Path:
    """The Parquet file of a dataset's split.

    Raises:
        DatasetError: the variable is unset or the file is missing.
    """
    root = os.environ.get("UNPOISON_DATA")
    path = Path(root or "") / name / f"{split}.parquet"
    if not root or not path.exists():
        raise DatasetError(f"set UNPOISON_DATA to the folder that holds {name}/{split}.parquet")
    return path


def read_table(name: str, split: Literal["train", "test"]) -> Any:
    """All rows of `$UNPOISON_DATA/{name}/{split}.parquet`, as an Arrow table.

    Raises:
        DatasetError: the variable is unset or the file is missing.
    """
    import pyarrow.parquet

    return pyarrow.parquet.read_table(images_file(name, split))


def load_images(
    name: str, split: Literal["train", "test"], per_class: int | None = None, seed: int = 0
) -> LabelledImages:
    """Decodes `$UNPOISON_DATA/{name}/{split}.parquet` (columns image.bytes and label), or a part of it.

    Args:
        per_class: at most this many images of each class, drawn from `seed`, in file order; None takes all.

    Raises:
        DatasetError: the variable is unset or the file is missing.
    """
    table = read_table(name, split)
    labels = table["label"].to_numpy().astype(np.int64)
    chosen = np.arange(len(labels))
    if per_class is not None:
        rng = np.random.default_rng(seed)
        parts = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        chosen = np.sort(np.concatenate([rng.permutation(part)[:per_class] for part in parts]))
    encoded = table["image"].combine_chunks().field("bytes")
    images = np.stack([np.asarray(Image.open(io.BytesIO(encoded[int(i)].as_py()))) for i in chosen])
    return LabelledImages(images, labels[chosen])
