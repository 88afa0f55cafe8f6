"""SanitizedDataset: the one-line change."""

import dataclasses
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import rules
from .checks import AnyPath, Device, Seed, Share, Side, Transform, checked
from .config import AnyConfig, MethodName
from .data.access import RawView
from .data.alignment import Positions, checked_indices, served_positions, with_stand_ins
from .data.attributes import ScriptAttributes
from .data.cache import Cleaned
from .data.eight_bit import from_eight_bit
from .data.encoded import Encoded
from .data.items import Keys, class_of, label_like
from .data.record import Record
from .data.reopened import ShardSet
from .data.survey import MAX_SIDE, OnUnreadable
from .errors import DatasetError, DroppedSamplesWarning
from .features import AnyFeatures
from .keep import KEEP
from .methods.copies import OnDuplicates
from .report import OnPoison, Report
from .restoration import Restorer
from .sanitizer import Sanitizer
from .stages import LocalExecutor
from .working_copy import Reread


@checked
class SanitizedDataset(ScriptAttributes):
    """A dataset's clean samples, in its own structure and through its own transforms.

    Cleaning happens on first access, or in `prepare()`; the result is cached by content, so that later runs, workers
    and other processes open it. Samples that were kept come from the wrapped dataset, exactly as they are there, and
    are checked against the content that was cleaned; restored samples have their pixels and label replaced; dropped
    ones are not served, so that later positions move: a warning counts them, and `align=True` keeps the positions.

    Args:
        dataset: any map-style dataset with items (image, label, ...), mappings or namedtuples. Images are PIL images,
            or arrays or tensors [H,W], [H,W,C] or [C,H,W]: uint8; floats in 0..1 or 0..255, or integers in 0..1,
            0..255, 0..4095 or 0..65535, as nearly all images of the dataset are. One of another range is an error.
        method: "pdautor", "bab", "ensemble", or the name of a detector, see `register_detector`.
        config: a preset's name ("paper", "default", "fast") or the method's configuration.
        on_poison: what happens to flagged samples: "restore", "drop" or "keep"; the method's own when None.
        max_altered: share of the samples of a class that may be restored or dropped for being flagged, above 0 and up
            to 1. Where more is flagged, nothing in the class is changed, and the report says that it needs a look.
            Another value does not detect again. Unreadable samples do not count.
        duplicates: what happens to images that are the same to the eye as others, which are not poison: "keep", or
            "drop" all but the first; of those under several labels, the first with the most frequent one stays. The
            report names them.
        on_unreadable: what happens where images cannot be read: "raise" an error, or "skip" them. They are then not
            served, and the report names them.
        restorer: a `Restorer`, a local folder or a Hub id ("user/name" or "user/name@revision").
        cache_dir: where results are kept; `UNPOISON_CACHE` or ~/.cache/unpoison when None.
        transform: applied to the raw image in place of the dataset's own transforms; None for none.
        target_transform: applied to the label in place of the dataset's own; None for none.
        device: to compute on, such as "cuda"; a GPU where there is one when None.
        seed: of everything random.
        progress: True shows progress bars on stderr, False does not, None does on a terminal and in a notebook.
        image: the field of the items that holds the image: a column or key, or a position in a tuple; where there is
            but one candidate it is found.
        label: the field that holds the label, likewise.
        align: whether all positions stay those of the wrapped dataset. Instead of a dropped sample, another one of
            its class is served, chosen by its position and the seed: one that was kept as it is, else a restored one.
            Cleaning raises a DatasetError where none is left. A note in the report counts them.
        keep: samples that are not flagged whatever is found: positions, or a reviewed table of `report.samples()`, as
            `unpoison.samples.read_samples` takes it. What was detected before is not detected again.
        reread, max_side, executor, features: as of `Sanitizer`.

    Raises:
        ConfigError: an argument is unknown.
        DatasetError: the dataset is empty or of a kind that cannot be cleaned.
    """

    def __init__(
        self,
        dataset: Any,
        method: MethodName = "pdautor",
        *,
        config: AnyConfig | None = None,
        on_poison: OnPoison | None = None,
        max_altered: Share = rules.MAX_ALTERED,
        duplicates: OnDuplicates = "keep",
        on_unreadable: OnUnreadable = "raise",
        restorer: Restorer | AnyPath | None = None,
        cache_dir: AnyPath | None = None,
        transform: Transform = KEEP,
        target_transform: Transform = KEEP,
        device: Device | None = None,
        seed: Seed = 0,
        progress: bool | None = None,
        image: str | int | None = None,
        label: str | int | None = None,
        align: bool = False,
        keep: Any = None,
        reread: Reread = "changed",
        max_side: Side = MAX_SIDE,
        executor: Callable[[Path], LocalExecutor] = LocalExecutor,
        features: AnyFeatures | None = None,
    ) -> None:
        self.dataset, self.transform, self.target_transform = dataset, transform, target_transform
        self._sanitizer = Sanitizer(
            method, config=config, on_poison=on_poison, max_altered=max_altered, duplicates=duplicates,
            on_unreadable=on_unreadable, restorer=restorer, cache_dir=cache_dir, device=device, seed=seed,
            progress=progress, keep=keep, reread=reread, max_side=max_side, executor=executor, image=image, label=label,
            features=features,
        )  # fmt: skip
        self._view = RawView(dataset, Keys(image, label), self._sanitizer.cache_dir)
        self._align, self._seed = align, seed
        self._places: Positions | None = None
        self._cleaned: Cleaned | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    @classmethod
    @checked
    def from_shards(
        cls,
        source: AnyPath,
        *,
        revision: str | None = None,
        transform: Transform = KEEP,
        target_transform: Transform = KEEP,
        align: bool = False,
        seed: Seed = 0,
        signed_by: AnyPath | None = None,
    ) -> "SanitizedDataset":
        """Reopens a cleaned set without the original: what `Sanitizer.export` or `unpoison clean` wrote.

        Items are (PIL image, label), each through its transform. Restored images and those that had no file of their
        own come with 8 bits per channel. The files may come from anyone: nothing in them is run or extracted.

        Args:
            source: the folder, or a dataset on the Hub: "user/name" or "user/name@revision".
            revision: branch, tag or commit on the Hub.
            transform: applied to the image.
            target_transform: applied to the label.
            align: whether positions are those of the dataset that was cleaned, as above; needs its report, which lies
                with the shards.
            seed: of the choice that `align` makes.
            signed_by: the public key that the set must be signed with, as `unpoison sign` does, or a file with it.
                Nobody must have signed it when None.

        Raises:
            CacheError: the folder holds something else, or a damaged or incomplete set.
            SignatureError: it is not signed with this key.
            HubError: the dataset cannot be found or reached.
            DatasetError: `align`, and no sample of a dropped one's class is left.
        """
        return _Reopened(ShardSet.open(source, revision, signed_by), transform, target_transform, align, seed)

    def prepare(self) -> "SanitizedDataset":
        """Cleans the dataset now, or opens the cached result. Safe to call from several processes at once.

        Raises:
            UnreadableError: an image cannot be read, and is not to be skipped.
            DatasetError: the dataset cannot be cleaned as it is.
            CacheError: the cache folder cannot be written or trusted.
        """
        self._open()
        return self

    @property
    def report(self) -> Report:
        """What was found and done, over the samples of the wrapped dataset."""
        return self._with_note(self._open().report)

    @property
    def shards(self) -> list[Path]:
        """The WebDataset tars with the clean samples."""
        return list(self._open().shards)

    @property
    def source_index(self) -> npt.NDArray[np.int64]:
        """int64 [M]; position in the wrapped dataset of each sample served."""
        source_index = self._open().source_index
        return source_index.copy() if self._places is None else source_index[self._places]

    def positions(self, source_indices: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Where samples of the wrapped dataset are served, for weights and splits that were saved before cleaning.

        Args:
            source_indices: positions in the wrapped dataset, of any shape.

        Returns:
            int64, of the same shape; -1 for samples that were dropped. With `align`, the positions as they are.

        Raises:
            ConfigError: a position is outside of the wrapped dataset.
        """
        count = len(self.report)
        indices = checked_indices(source_indices, count)
        return indices if self._align else served_positions(self.source_index, count)[indices]

    @property
    def classes(self) -> list[str]:
        """Names of the classes by number.

        Raises:
            AttributeError: the wrapped dataset does not name its classes.
        """
        names = self._view.names()
        if names is None and self._open().text_labels:
            names = self._open().names
        if names is None:
            raise AttributeError(f"{type(self.dataset).__name__} does not name its classes")
        return names

    def __len__(self) -> int:
        source_index = self._open().source_index
        return len(source_index if self._places is None else self._places)

    def unpoison_raw(self) -> Any:
        if self._transform is not KEEP or self._target_transform is not KEEP:
            raise DatasetError("a SanitizedDataset with transform= cannot be wrapped: set the transform on the wrapper")
        return super().unpoison_raw()

    def _open(self) -> Cleaned:
        if self._cleaned is None:
            with self._lock:
                if self._cleaned is None:
                    cleaned = self._sanitizer.clean(self._view)
                    self._places = self._placed(cleaned.source_index, cleaned.report)
                    self._cleaned = cleaned
        return self._cleaned

    def _placed(self, source_index: Positions, report: Report) -> Positions | None:
        """int64 [N]; which of the samples left is served at each position, with `align`."""
        if self._align:
            return with_stand_ins(served_positions(source_index, len(report)), report, self._seed)
        _warn_of_drops(len(report) - len(source_index))
        return None

    def _with_note(self, report: Report) -> Report:
        dropped = int((report.action == "drop").sum())
        if not self._align or not dropped:
            return report
        note = f"align=True: {dropped} dropped samples are served as others of their class"
        return dataclasses.replace(report, notes=[*report.notes, note])

    def _clean_labels(self) -> list[int | str]:
        cleaned = self._open()
        return [cleaned.label(source) for source in self.source_index.tolist()]

    def _labels_as_they_came(self) -> list[int | str | None]:
        cleaned = self._open()
        labels: list[int] = cleaned.report.original_label.tolist()
        names = cleaned.names if cleaned.text_labels else None
        return [None if label < 0 else label if names is None else names[label] for label in labels]

    def _sample(self, position: int) -> tuple[Record, Any, Any]:
        cleaned = self._open()
        if self._places is not None:
            position = int(self._places[position])
        source = int(cleaned.source_index[position])
        record = self._view.read(source)
        if record.digest() != cleaned.digest(source):
            raise self._view.change(record, "is not the one that was cleaned, the data has changed: clean it again")
        if isinstance(record.stored_image, Encoded):
            record.stored_image.pixels = cleaned.decoded(source)
            record.stored_image.jpeg_size = cleaned.jpeg_size(source)
        pixels, label = cleaned.restored_pixels(position), cleaned.label(source)
        image = KEEP if pixels is None else from_eight_bit(pixels, record.image, cleaned.levels)
        return record, image, KEEP if label == class_of(record.label) else label_like(label, record.label)


class _Reopened(SanitizedDataset):
    """Cleaned shards that take the place of the wrapped dataset."""

    def __init__(
        self, shards: ShardSet, transform: Any, target_transform: Any, align: bool = False, seed: int = 0
    ) -> None:
        self.dataset = self._shards = shards
        self.transform, self.target_transform = transform, target_transform
        self._align, self._seed, self._places = align, seed, None
        self._lock = threading.Lock()
        if align:
            self._places = self._placed(shards.source_index, shards.report)
        elif len(shards):
            # Those after the last one that is left move no position.
            _warn_of_drops(int(shards.source_index.max()) + 1 - len(shards))

    def prepare(self) -> SanitizedDataset:
        return self

    @property
    def report(self) -> Report:
        """Of the run that made the shards.

        Raises:
            CacheError: the report does not lie with the shards.
        """
        return self._with_note(self._shards.report)

    @property
    def shards(self) -> list[Path]:
        return list(self._shards.shards)

    @property
    def source_index(self) -> npt.NDArray[np.int64]:
        source_index = self._shards.source_index
        return source_index.copy() if self._places is None else source_index[self._places]

    @property
    def classes(self) -> list[str]:
        names = self._shards.names()
        if names is None:
            raise AttributeError("the dataset that was cleaned did not name its classes")
        return names

    def __len__(self) -> int:
        return len(self._shards if self._places is None else self._places)

    def _clean_labels(self) -> list[int | str]:
        places = range(len(self._shards)) if self._places is None else self._places.tolist()
        return [self._shards.label(place) for place in places]

    def _sample(self, position: int) -> tuple[Record, Any, Any]:
        return self._shards.read(position if self._places is None else int(self._places[position])), KEEP, KEEP


def _warn_of_drops(count: int) -> None:
    if count > 0:
        warnings.warn(
            f"{count} samples were dropped, so positions after them are not those of the dataset as it came: "
            "align=True keeps the positions, and positions() maps old ones",
            DroppedSamplesWarning,
            stacklevel=5,
        )
