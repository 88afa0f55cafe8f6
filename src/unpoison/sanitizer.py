"""The pipeline as an object: raw items, working copy, method, shards, manifest."""

import logging
import multiprocessing
import os
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import get_worker_info

from . import rules
from .checks import AnyPath, Device, Seed, Share, Side, check, checked
from .config import AnyConfig, MethodName, with_features
from .context import Context
from .data.access import RawView
from .data.cache import (
    WORKING_COPY,
    Cleaned,
    build_once,
    cache_key,
    check_outside,
    default_root,
    is_complete,
    start_again,
    telling_what_is_kept,
)
from .data.checksums import is_whole
from .data.files import remove_leftovers, writing
from .data.folders import check_classes
from .data.items import Keys
from .data.outputs import check_apart, check_replaceable, replacing_folder
from .data.pruning import mark_used, prune, size_limit
from .data.random_states import preserved_rng
from .data.rows import clean_rows
from .data.searched import folders_read, folders_searched
from .data.store import ImageStore
from .data.survey import MAX_SIDE, OnUnreadable, Survey
from .errors import ConfigError, WorkerPreparationWarning
from .features import AnyFeatures, check_rows
from .methods import get_method, resolve_config
from .methods.cleaning import Outcome, Task, clean
from .methods.copies import OnDuplicates
from .methods.planning import planned_keys
from .native.closer import look_closer
from .native.repair import Repairs, fit_repairs
from .printable import printable
from .progress import Progress
from .publishing import FORMATS, publish, save_outcome, write_export
from .report import OnPoison, Report
from .restoration import Restorer
from .review import Review
from .samples import class_text
from .stages.given import Given
from .stages.local import LocalExecutor
from .training.devices import best_device
from .training.threads import free_cores
from .working_copy import Reread, check_skipped, look_at, open_store, store_folder, warn_of

_logger = logging.getLogger(__name__)


@checked
class Sanitizer:
    """Detects poisoned samples in a dataset and restores or drops them.

    Args:
        method: "pdautor", "bab", "ensemble", or the name of a detector, see `register_detector`.
        config: a preset's name ("paper", "default", "fast") or the method's configuration; "default" when None.
        on_poison: what happens to flagged samples: "restore", "drop" or "keep"; the method's own when None.
        max_altered: share of the samples of a class that may be restored or dropped for being flagged, above 0 and up
            to 1. Where more is flagged, nothing in the class is changed, and the report says that it needs a look.
            Another value does not detect again. Unreadable samples do not count.
        duplicates: what happens to images that are the same to the eye as others, which are not poison: "keep", or
            "drop" all but the first; of those under several labels, the first with the most frequent one stays. The
            report names them.
        on_unreadable: what happens where images cannot be read: "raise" an error, or "skip" them. They are then
            dropped, and the report names them.
        restorer: a `Restorer`, a local folder or a Hub id ("user/name" or "user/name@revision") to start from. It is
            used as it is where it does its work on these data, else fine-tuned; the report's notes say which.
        cache_dir: where results are kept; `UNPOISON_CACHE` or ~/.cache/unpoison when None.
        device: to compute on, such as "cuda"; a GPU where there is one when None.
        seed: of everything random.
        progress: True shows progress bars on stderr, False does not, None does on a terminal and in a notebook.
        image: the field of the items that holds the image: a column or key, or a position in a tuple; where there is
            but one candidate it is found.
        label: the field that holds the label, likewise.
        keep: samples that are not flagged whatever is found: positions, or a reviewed table of `report.samples()`, as
            `unpoison.samples.read_samples` takes it. What was detected before is not detected again.
        executor: has the stages done that compute: called with the cache folder. `LocalExecutor` does them in this
            process; a subclass of it may have them done elsewhere.
        reread: "changed" reads only files that changed since the last run, by size and time; "all" reads all.
        max_side: pixels of the longer side of the copies of larger images that methods look at, 8 to 256. More shows
            smaller triggers, and takes time as the square of it.
        features: frozen ones that say what images show: a model of timm such as "timm/resnet18.a1_in1k", a name or a
            `FeatureSource`, a function from images uint8 [n,H,W,3] of the working size to float32 [n,D], or an array
            float32 [N,D] with a row for each item of the dataset. Restored images are not in an array: their classes
            are then learned from the pixels. Only "pdautor" and "ensemble" use them.

    Attributes:
        fields: `image` and `label`, as given.

    Raises:
        ConfigError: an argument is unknown, or, as cleaning shows, `keep` or `features` are of another dataset.
    """

    def __init__(
        self,
        method: MethodName = "pdautor",
        *,
        config: AnyConfig | None = None,
        on_poison: OnPoison | None = None,
        max_altered: Share = rules.MAX_ALTERED,
        duplicates: OnDuplicates = "keep",
        on_unreadable: OnUnreadable = "raise",
        restorer: Restorer | AnyPath | None = None,
        cache_dir: AnyPath | None = None,
        device: Device | None = None,
        seed: Seed = 0,
        progress: bool | None = None,
        image: str | int | None = None,
        label: str | int | None = None,
        keep: Any = None,
        reread: Reread = "changed",
        max_side: Side = MAX_SIDE,
        executor: Callable[[Path], LocalExecutor] = LocalExecutor,
        features: AnyFeatures | None = None,
    ) -> None:
        info = get_method(method)
        config = "default" if config is None else config
        self._preset = config if isinstance(config, str) else None
        resolved = resolve_config(info, config)
        self.method, self.config = method, resolved if features is None else with_features(resolved, features)
        self.on_poison: OnPoison = info.on_poison if on_poison is None else on_poison
        self.max_altered = max_altered
        self.duplicates: OnDuplicates = duplicates
        self.on_unreadable: OnUnreadable = on_unreadable
        self.restorer, self.features, self.seed, self.progress = restorer, features, seed, progress
        self.reread, self.max_side, self.executor = reread, max_side, executor
        self._review = Review.of(keep)
        self.device = None if device is None else torch.device(device)
        self.cache_dir = default_root() if cache_dir is None else Path(cache_dir).expanduser()
        self.fields = Keys(image, label)
        self._folder: Path | None = None
        self._cleaned: Cleaned | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Opened files and arrays stay behind, so that the state is the same before and after a call.
        return {**self.__dict__, "_cleaned": None}

    def fit(self, dataset: Any) -> Report:
        """Cleans a map-style dataset, or opens the result of an earlier run on the same content.

        Raises:
            UnreadableError: an image cannot be read, and is not to be skipped.
            DatasetError: the dataset cannot be cleaned as it is.
            CacheError: the cache folder cannot be written or trusted.
            ConfigError: it lies in a folder that is read.
        """
        return self.clean(RawView(dataset, self.fields, self.cache_dir)).report

    def export(self, dataset: Any, folder: str | Path) -> Report:
        """Cleans a dataset and writes the shards, the report (`report.html` for people) and the restorer, where
        there is one, into a folder. The report there names the images' files, but not the folder that they lie in.

        What an earlier call wrote into the folder goes, in one step: until then, and where anything fails, it stays.

        Raises:
            ConfigError: the folder cannot be written, holds something that was not written there by an earlier call, or
                lies in a folder that is read, or the other way round. This is seen before anything is read.
        """
        folder = Path(check("folder", folder, AnyPath))
        for place in folders_read(dataset):
            check_apart(folder, place)
        check_apart(folder, self.cache_dir, "where results are kept")
        if isinstance(self.restorer, str | os.PathLike) and Path(self.restorer).exists():
            check_apart(folder, Path(self.restorer))
        check_replaceable(folder)
        report = self.fit(dataset)
        with telling_what_is_kept(self.cache_dir, self.cleaned.folder), replacing_folder(folder) as new:
            write_export(new, self.cleaned.folder, report)
        return report

    def clean(self, view: RawView) -> Cleaned:
        """What `fit` does, on raw items; returns the opened result."""
        with preserved_rng():
            self._cleaned = self._clean(view)
        self._folder = self._cleaned.folder
        return self._cleaned

    @property
    def cleaned(self) -> Cleaned:
        """The result of `fit`.

        Raises:
            ConfigError: `fit` was not called.
        """
        if self._cleaned is None:
            if self._folder is None:
                raise ConfigError("the sanitizer has seen no data: call fit(dataset) first")
            self._cleaned = Cleaned(self._folder)
        return self._cleaned

    def __call__(self, batch: Any, indices: list[int]) -> dict[str, list[Any]]:
        """For `fit_dataset.map(sanitizer, batched=True, with_indices=True)`.

        Kept rows stay as they are, to the byte; restored rows get their new image and label; dropped rows stay and
        are marked. Adds the columns `unpoison_action` (str) and `unpoison_score` (float).

        Args:
            batch: columns of a batch of the dataset that was given to `fit`.
            indices: the rows' positions in it.

        Returns:
            The columns that change.

        Raises:
            ConfigError: `fit` was not called.
            DatasetError: the rows are not those of the dataset that was given to `fit`.
        """
        return clean_rows(self.cleaned, self.cleaned.keys, batch, indices)

    def _clean(self, view: RawView) -> Cleaned:
        check_outside(self.cache_dir, folders_searched(view.dataset))
        check_rows(self.features, len(view))
        progress = Progress(self.progress)
        in_worker = get_worker_info() is not None or multiprocessing.current_process().daemon
        workers, limit = 0 if in_worker else None, size_limit()
        with telling_what_is_kept(self.cache_dir):
            found = look_at(self.cache_dir, view, self.on_unreadable, self.reread, self.max_side, workers, progress)
        keep = self._review.mask(found.digest, found.labels, found.names)
        warn_of(view, found, stacklevel=5)
        given = Given.of(self.restorer, self.features, found.working_size)
        if isinstance(self.restorer, str) and given.origin is not None:
            # A branch may move on; copies of this object in other processes stay with the commit.
            self.restorer = given.origin
        device = self.device or best_device()
        key = self._key(found, given, device)
        if in_worker and not is_complete(self.cache_dir / "runs" / key):
            # A worker cannot compute on an accelerator, but what was cleaned there it serves.
            device = torch.device("cpu")
            key = self._key(found, given, device)
        folder = self.cache_dir / "runs" / key
        executor = self.executor(self.cache_dir)
        executor.kept[WORKING_COPY] = store_folder(self.cache_dir, found)
        context = Context(device, self.seed, progress)

        def build() -> None:
            if in_worker:
                warnings.warn(
                    "cleaning starts inside a DataLoader worker, on one CPU thread: call prepare() before the "
                    "DataLoader is used",
                    WorkerPreparationWarning,
                    stacklevel=8,
                )
            self._build(folder, view, found, keep, given, executor, context, workers)
            if limit is not None:
                prune(self.cache_dir, limit=limit)
            _logger.info("the result lies in %s", printable(str(folder)))

        if is_complete(folder):
            _logger.info("this was cleaned before: %s", printable(str(folder)))
        else:
            with telling_what_is_kept(self.cache_dir, folder, executor.kept):
                build_once(self.cache_dir, key, lambda: is_complete(folder), build)
        cleaned = Cleaned(folder)
        mark_used(folder, store_folder(self.cache_dir, found))
        if cleaned.manifest.unreadable:
            check_skipped(cleaned.report.unreadable, self.on_unreadable)
        return cleaned

    def _build(
        self,
        folder: Path,
        view: RawView,
        found: Survey,
        keep: npt.NDArray[np.bool_],
        given: Given,
        executor: LocalExecutor,
        context: Context,
        workers: int | None,
    ) -> None:
        """From a dataset that was looked at to a complete run; what is there of it is not made again."""
        with writing(self.cache_dir):
            for place in (self.cache_dir / "stores", folder, folder / "shards", folder / "records"):
                remove_leftovers(place)
            start_again(folder)
        store = open_store(self.cache_dir, view, found, self.on_unreadable, workers, context.progress)
        if store.unreadable:
            check_skipped(store.unreadable, self.on_unreadable)
            check_classes(view, found, store.positions)
        if not is_whole(folder / "outcome"):
            # Shards that were cut from another outcome are not those of the one that is made now.
            with writing(self.cache_dir), suppress(FileNotFoundError):
                shutil.rmtree(folder / "records")
            outcome, repairs = self._decide(view, store, found, keep[store.positions], given, executor, context)
            facts = {"max_side": self.max_side, "preset": self._preset, "restorer": given.origin}
            with writing(self.cache_dir):
                save_outcome(folder, view, store, found, outcome, repairs, facts)
            executor.release()
        with writing(self.cache_dir):
            publish(folder, view, store, found, context.progress)

    def _decide(
        self,
        view: RawView,
        store: ImageStore,
        found: Survey,
        keep: npt.NDArray[np.bool_],
        given: Given,
        executor: LocalExecutor,
        context: Context,
    ) -> tuple[Outcome, Repairs]:
        """Detection and restoration of this dataset, and how its originals are repaired."""
        task = Task(
            method=get_method(self.method), config=self.config, on_poison=self.on_poison, keep=keep,
            given=given.kept_in(self.cache_dir, store.positions), max_altered=self.max_altered,
            duplicates=self.duplicates,
            class_names=[printable(class_text(label, found.names)) for label in store.class_ids.tolist()],
        )  # fmt: skip
        _logger.info("method %s on %s, flagged images: %s", self.method, context.device, self.on_poison)
        with free_cores():
            look = lambda known: look_closer(view, found, store, known, executor, context)  # noqa: E731
            outcome = clean(task, store, executor, context, look)
            return outcome, fit_repairs(view, found, store, outcome, self.config.restoration, context)

    def _key(self, found: Survey, given: Given, device: torch.device) -> str:
        """Of all that decides the result and how it is served."""
        method, store = get_method(self.method), store_folder(self.cache_dir, found).name
        context = Context(device, self.seed)
        return cache_key(
            content=store,
            form=found.form,
            names=found.names,
            text_labels=found.text_labels,
            keep=self._review.kept,
            method=method.key,
            config=self.config,
            on_poison=self.on_poison,
            max_altered=self.max_altered,
            duplicates=self.duplicates,
            formats=FORMATS,
            stages=planned_keys(method, self.config, self.on_poison, store, given.digests, context),
        )
