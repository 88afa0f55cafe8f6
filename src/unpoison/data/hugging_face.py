"""Items of a Hugging Face dataset without its format. `datasets` is imported only where one is in use."""

import sys
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import DatasetError, UnreadableError
from .encoded import Encoded
from .items import FOUND, Keys, no_such_field
from .steps import StandIn


def is_hugging_face(dataset: Any) -> bool:
    """Whether this is a `datasets.Dataset`."""
    module = sys.modules.get("datasets")
    return module is not None and isinstance(dataset, module.Dataset)


class RawHuggingFace:
    """Items of a `datasets.Dataset` as dicts of all columns.

    Args:
        dataset: with any format or transform; it stays as it is.
        lazy: whether images come as their files' bytes, else decoded.
        chosen: the columns that the user names.

    Raises:
        DatasetError: there is no such column.
    """

    def __init__(self, dataset: Any, lazy: bool, chosen: Keys = FOUND) -> None:
        self.dataset, self._lazy = dataset, lazy
        self.keys_by_features = feature_keys(dataset.features, chosen)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_plain"}

    @cached_property
    def _plain(self) -> Any:
        from datasets import Image as ImageFeature

        plain, key = self.dataset.with_format(None), self.image_key
        return plain if key is None else plain.cast_column(key, ImageFeature(decode=False))

    @property
    def image_key(self) -> str | None:
        """The column of image files, where there is one."""
        keys = self.keys_by_features
        is_file = keys is not None and type(self.dataset.features[keys.image]).__name__ == "Image"
        return keys.image if keys is not None and is_file else None

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = dict(self._plain[index])
        keys = self.keys_by_features
        if keys is not None:
            row[keys.image] = stored_image(row[keys.image], self.dataset.features[keys.image], self._lazy)
        noted: dict[str, Any] = StandIn("format", self._format)(row)
        return noted

    def _format(self, row: dict[str, Any]) -> Any:
        """Formats a row as the dataset itself would have."""
        form = self.dataset.format
        if form["type"] is None:
            return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in row.items()}
        chosen = {column: row[column] for column in form["columns"]}
        others = {column: value for column, value in row.items() if column not in chosen}
        if form["type"] == "custom":
            batch = form["format_kwargs"]["transform"]({column: [value] for column, value in chosen.items()})
            out = {column: values[0] for column, values in batch.items()}
        else:
            from datasets.formatting import get_formatter

            formatter = get_formatter(form["type"], features=self.dataset.features, **form["format_kwargs"])
            if not hasattr(formatter, "recursive_tensorize"):
                raise DatasetError(f"rows of format {form['type']!r} hold no images: pass dataset.with_format(None)")
            out = formatter.recursive_tensorize(chosen)
        return {**out, **others} if form["output_all_columns"] else out


def stored_image(value: Any, feature: Any, lazy: bool = True) -> Any:
    """The raw image of a value as it is stored.

    Args:
        value: a dict of bytes and path, an image that would become one, or a nested list.
        feature: of the column.
        lazy: whether an image file comes as its bytes, else decoded.
    """
    if type(feature).__name__ != "Image":
        return np.array(value, dtype=feature.dtype) if isinstance(value, list | np.ndarray) else value
    if value is None:
        return Encoded(b"", fault="the image is missing")
    value = value if isinstance(value, dict) else feature.encode_example(value)
    data, path = value["bytes"], value["path"] or ""
    if data is None and "://" in path:  # in an archive, or on another machine
        return _fetched(value, feature)
    if data is not None:
        encoded = Encoded(data, feature.mode, rotate=True, path=path)
    elif path:
        encoded = Encoded.read(path, feature.mode, rotate=True)
    else:
        encoded = Encoded(b"", fault="the image is missing")
    return encoded if lazy else encoded.decode()


def _fetched(value: dict[str, Any], feature: Any) -> Any:
    from datasets import Image as ImageFeature

    try:
        return ImageFeature(mode=feature.mode).decode_example(value)
    except Exception as error:
        raise UnreadableError(repr(error), value["path"]) from error


def feature_keys(features: Any, chosen: Keys = FOUND) -> Keys | None:
    """Image and label column by type; None where the features do not tell.

    Args:
        features: of a dataset.
        chosen: the columns that the user names.

    Raises:
        DatasetError: there is no such column.
    """
    for what, column in zip(("image", "label"), chosen, strict=True):
        if column is not None and column not in features:
            raise no_such_field(what, column, list(features))
    # `datasets` adds columns such as __key__ to the members of tars.
    kinds = {name: type(feature).__name__ for name, feature in features.items() if not name.startswith("__")}
    images = [name for name, kind in kinds.items() if kind == "Image"] or [
        name for name, kind in kinds.items() if kind in ("Array2D", "Array3D")
    ]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"] or [
        name for name in kinds if str(getattr(features[name], "dtype", "")).startswith(("int", "string"))
    ]
    image, label = chosen
    if image is None:
        image = _pick(images, ("image", "img"))
    if label is None:
        label = _pick(labels, ("label", "fine_label", "labels", "target", "cls"))
    return None if image is None or label is None else Keys(image, label)


def _pick(found: list[str], preferred: tuple[str, ...]) -> str | None:
    return next((name for name in preferred if name in found), found[0] if len(found) == 1 else None)
