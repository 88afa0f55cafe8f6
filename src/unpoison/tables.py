"""`unpoison.sanitize`: Hugging Face datasets, cleaned in one line."""

import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import datasets
import numpy as np

from .checks import Positive, checked
from .config import MethodName
from .data.hugging_face import feature_keys
from .data.items import Keys
from .data.rows import clean_rows, row_digest
from .errors import ConfigError, DatasetError, UnreadableWarning
from .report import Report
from .sanitizer import Sanitizer


@checked
def sanitize(
    dataset: Any,
    method: MethodName = "pdautor",
    *,
    split: str = "train",
    num_proc: Positive | None = None,
    **options: Any,
) -> Any:
    """Cleans a Hugging Face dataset.

    Restored rows get their new image and label, dropped rows are left out, and all others keep their bytes. Features
    and format stay. Two columns are added: `unpoison_action` ("keep" or "restore") and `unpoison_score`.

    Args:
        dataset: a `Dataset`, an `IterableDataset`, or a dict of them by split. A stream is read once to find the
            poison, with a copy of its images and labels on disk meanwhile, and is a stream again afterwards.
        method: a registered method, as of `Sanitizer`.
        split: the one that is cleaned of a dict; the others stay as they are.
        num_proc: processes that write the result.
        options: further arguments of `Sanitizer`, such as `max_altered=`; `on_unreadable="skip"`: rows whose image
            cannot be read are then left out, and an `UnreadableWarning` counts them; `image=` and `label=` name the
            columns where there are several candidates. `duplicates="drop"` drops no rows of a stream that have the same
            image and label: they cannot be told apart.

    Raises:
        ConfigError: an argument is unknown.
        DatasetError: the dataset cannot be cleaned as it is.
    """
    if isinstance(dataset, Mapping):
        if split not in dataset:
            raise ConfigError(f"there is no split {split!r}: choose one of {', '.join(map(str, dataset))} by split=")
        cleaned = sanitize(dataset[split], method, num_proc=num_proc, **options)
        splits: Any = type(dataset)
        return splits({**dataset, split: cleaned})
    if isinstance(dataset, datasets.IterableDataset):
        return _sanitize_stream(dataset, Sanitizer(method, **options))
    if not isinstance(dataset, datasets.Dataset):
        raise DatasetError(
            f"sanitize takes datasets of Hugging Face, got {type(dataset).__name__}: use SanitizedDataset"
        )
    sanitizer = Sanitizer(method, **options)
    plain = dataset.with_format(None)
    _warn_of_unreadable(sanitizer.fit(plain))
    cleaned = plain.map(
        sanitizer, batched=True, with_indices=True, num_proc=num_proc, features=_with_columns(dataset.features)
    ).filter(_is_served, input_columns="unpoison_action", num_proc=num_proc)
    form = dataset.format
    columns = None if form["columns"] == dataset.column_names else form["columns"]
    return cleaned.with_format(form["type"], columns, form["output_all_columns"], **form["format_kwargs"])


def _warn_of_unreadable(report: Report) -> None:
    if report.unreadable:
        first = report.unreadable[0]
        name = first.file or f"row {first.position}"
        warnings.warn(
            f"{len(report.unreadable)} of {len(report)} rows are left out because their images cannot be read, the "
            f"first is {name} ({first.reason})",
            UnreadableWarning,
            stacklevel=4,
        )


def _sanitize_stream(dataset: Any, sanitizer: Sanitizer) -> Any:
    features = dataset.features
    if features is None:
        raise DatasetError("the stream does not say what its columns hold: name them with dataset.cast(features)")
    keys = feature_keys(features, sanitizer.fields)
    if keys is None:
        raise DatasetError(f"which of the columns {', '.join(features)} is what? Choose by image= and label=")
    image = features[keys.image]
    if isinstance(image, datasets.Image):
        dataset = dataset.cast_column(keys.image, datasets.Image(mode=image.mode, decode=False))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        _warn_of_unreadable(sanitizer.fit(_stored(dataset.select_columns(list(keys)), features, keys, folder)))
    cleaned = dataset.map(_ByContent(sanitizer, keys, image), batched=True)
    # The features come last: images stay files until someone asks for the rows.
    return cleaned.filter(_is_served, input_columns="unpoison_action").cast(_with_columns(features))


def _stored(stream: Any, features: Any, keys: Keys, folder: str) -> Any:
    """The rows of a stream on disk, with random access."""

    def rows() -> Iterator[Any]:
        yield from stream

    return datasets.Dataset.from_generator(
        rows,
        features=datasets.Features({key: features[key] for key in keys}),
        cache_dir=folder,
        fingerprint=uuid.uuid4().hex,
    )


class _ByContent:
    """Cleans batches of a stream, whose rows have no fixed positions: shards come in any order and to any worker.

    Of rows with the same image and label, each is treated as the most suspicious one, but not dropped as a copy of one
    that stays.
    """

    def __init__(self, sanitizer: Sanitizer, keys: Keys, feature: Any) -> None:
        self._sanitizer, self._keys, self._feature = sanitizer, keys, feature

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_sources"}

    @cached_property
    def _sources(self) -> dict[bytes, int]:
        cleaned = self._sanitizer.cleaned
        report = cleaned.report
        copies = (report.kind == "duplicate") & (report.action == "drop")
        order = np.lexsort((report.score, ~copies)).tolist()
        return {cleaned.digest(source): source for source in order}

    def __call__(self, batch: Any) -> dict[str, list[Any]]:
        rows = zip(batch[self._keys.image], batch[self._keys.label], strict=True)
        digests = [row_digest(image, label, self._feature) for image, label in rows]
        if not self._sources.keys() >= set(digests):
            raise DatasetError("the stream has rows that it did not have before: sanitize it again, unshuffled by row")
        return clean_rows(self._sanitizer.cleaned, self._keys, batch, [self._sources[digest] for digest in digests])


def _is_served(action: str) -> bool:
    return action != "drop"


def _with_columns(features: Any) -> Any:
    added = {"unpoison_action": datasets.Value("string"), "unpoison_score": datasets.Value("float64")}
    return datasets.Features({**features, **added})
