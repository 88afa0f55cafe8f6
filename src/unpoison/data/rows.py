"""Rows of Hugging Face datasets, cleaned batch by batch."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import DatasetError, UnreadableError
from .cache import Cleaned
from .eight_bit import from_eight_bit
from .hugging_face import stored_image
from .images import UNREADABLE, fingerprint
from .items import Keys, class_of

_OTHERS = "these rows are not of the dataset that the sanitizer was fitted to: call fit on it"


def clean_rows(cleaned: Cleaned, keys: Keys, batch: Any, sources: list[int]) -> dict[str, list[Any]]:
    """The columns of a batch that cleaning changes.

    Args:
        cleaned: the result to take them from.
        keys: the columns of image and label.
        batch: columns by name.
        sources: the position of each row in the dataset that was cleaned.

    Raises:
        DatasetError: the rows are not those at these positions.
    """
    report = cleaned.report
    if max(sources, default=0) >= len(report) or not {*keys} <= set(batch.keys()):
        raise DatasetError(_OTHERS)
    images, labels = _stored(batch, keys.image), _stored(batch, keys.label)
    if not hasattr(batch, "pa_table") and any(isinstance(x, np.ndarray | torch.Tensor) for x in images):
        raise DatasetError(
            "the rows come formatted, not as they are stored: map over dataset.with_format(None), then set the format"
        )
    features = getattr(getattr(batch, "formatter", None), "features", None)
    if features is not None:
        found = (row_digest(image, label, features[keys.image]) for image, label in zip(images, labels, strict=True))
        if any(digest != cleaned.digest(source) for digest, source in zip(found, sources, strict=True)):
            raise DatasetError(_OTHERS)
    actions = report.action[sources]
    out: dict[str, list[Any]] = {
        "unpoison_action": actions.tolist(),
        "unpoison_score": report.score[sources].tolist(),
    }
    if (actions == "restore").any():
        rows = list(zip(sources, actions == "restore", images, labels, strict=True))
        out[keys.image] = [_image(cleaned, source, image) if new else image for source, new, image, _ in rows]
        out[keys.label] = [cleaned.label(source) if new else label for source, new, _, label in rows]
    return out


def row_digest(image: Any, label: Any, feature: Any) -> bytes:
    """As in the survey of the dataset."""
    try:
        return fingerprint(stored_image(image, feature), class_of(label))
    except UnreadableError:
        return UNREADABLE


def _stored(batch: Any, column: str) -> list[Any]:
    """A column as it is stored. What `map` hands over decodes images when it is asked for them, and a decoded image
    is encoded anew, with other bytes and, for JPEG, other pixels."""
    table = getattr(batch, "pa_table", None)
    if table is None or str(table.schema.field(column).type).startswith("extension"):
        return list(batch[column])
    values: list[Any] = table[column].to_pylist()
    return values


def _image(cleaned: Cleaned, source: int, image: Any) -> Any:
    """The clean image for a column that holds `image`: a file's bytes where it holds files, else an array."""
    position = int(np.searchsorted(cleaned.source_index, source))
    if isinstance(image, Image.Image | dict):
        return {"bytes": cleaned.image_file(position), "path": None}
    pixels = cleaned.restored_pixels(position)
    if pixels is None:
        return image
    new = from_eight_bit(pixels, np.asarray(image), cleaned.levels)
    # `datasets` cannot write a column of lists and arrays.
    return new.tolist() if isinstance(image, list) else new
