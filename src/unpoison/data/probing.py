"""How far a dataset can be peeled: a few of its items are read, raw and replayed, and compared with its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

from ..errors import DatasetError, UnreadableError
from .hugging_face import feature_keys, is_hugging_face
from .images import fingerprint
from .index import index_path
from .item_errors import hidden_augmentation, naming_item, without_frames
from .items import Keys, same_parts
from .origins import is_folder
from .peeling import load_rgb, peel
from .random_states import preserved_rng, seed_all
from .raw_source import RawSource
from .steps import NotFoundAgain

_PROBES, _MANY_PROBES, _ROUNDS, _SEEDS = 8, 512, 8, 4
_MANY_ROUNDS = 32
"""Of all probes together, so many reads that what fires in 2 % of them fires in 99 % of all cases."""


def choose_source(dataset: Any, chosen: Keys, cache: Path | None) -> RawSource:
    """The deepest peeling whose replayed items equal the dataset's own, given equal random states."""
    deepest = RawSource(peel(dataset, chosen, deep=True, lazy=True), chosen, verified=True)
    if cache is not None and _was_surveyed(deepest, cache):
        return deepest
    with preserved_rng():
        indices, failures = _probes(dataset, chosen)
        if not indices:
            first, failure = next(iter(failures.items()))
            _load((deepest.read(first).image,))  # whose own error names the file
            raise failure
        source = _peeled(dataset, chosen, indices)
        for index, failure in failures.items():
            if _is_readable(source, index):  # then it is the dataset's own transform that fails
                raise failure
        return source


def _was_surveyed(source: RawSource, cache: Path) -> bool:
    origins = source.origins() if _is_known(source.raw) else None
    return origins is not None and index_path(cache, origins).exists()


def _is_known(raw: Any) -> bool:
    """Whether nothing but torchvision's folders and PyTorch's containers is peeled, so that no item need be tried."""
    if type(raw).__getitem__ is Subset.__getitem__:
        return _is_known(raw.dataset)
    if type(raw).__getitem__ is ConcatDataset.__getitem__:
        return all(map(_is_known, raw.datasets))
    return is_folder(raw, load_rgb)


def _peeled(dataset: Any, chosen: Keys, indices: list[int]) -> RawSource:
    reason = ""
    for deep, lazy in ((True, True), (False, True)):
        raw = peel(dataset, chosen, deep=deep, lazy=lazy)
        if raw is dataset:
            break
        own = _own_items(dataset, indices)
        try:
            source = RawSource(raw, chosen, verified=True)
            # Where a call cannot be followed, it must not be random, not even rarely.
            followed = all(source.read(index).replay.lost is None for index in own)
            verified = _reproduces(source, own) and _repeats(dataset, own, 1 if followed else _MANY_ROUNDS)
            if not verified:
                _check_followed(RawSource(raw, chosen, verified=False), dataset, own)
        except Exception as error:  # any failure of foreign code on raw items: this peeling is not the right one
            cause = error.__cause__ or error
            reason = reason or (str(cause) if isinstance(cause, NotFoundAgain) else "")
            continue
        source = RawSource(raw, chosen, verified)
        _check_stable(source, indices, "")
        return source
    source = RawSource(dataset, chosen, verified=True)
    _check_stable(source, indices, reason)
    return source


def _probes(dataset: Any, chosen: Keys) -> tuple[list[int], dict[int, UnreadableError]]:
    """A few positions, spread over the dataset, whose items can be read, and the errors of others among them; of many
    positions, where none of a few can be read."""
    failures: dict[int, UnreadableError] = {}
    for count in (_PROBES, _MANY_PROBES):
        found = []
        for index in sorted({round(i) for i in np.linspace(0, len(dataset) - 1, count)} - failures.keys()):
            try:
                with naming_item(index):
                    item = dataset[index]
                    _load(item)
                    if _lacks_image(dataset, chosen, item):
                        raise UnreadableError("the image is missing")
                found.append(index)
            except UnreadableError as error:
                failures[index] = without_frames(error) if failures else error
        if found:
            return found[:: -(-len(found) // _PROBES)], failures
    return [], failures


def _load(item: Any) -> None:
    """Decodes images that were opened and not read yet."""
    for value in item.values() if isinstance(item, Mapping) else item if isinstance(item, tuple | list) else ():
        if isinstance(value, Image.Image):
            value.load()


def _lacks_image(dataset: Any, chosen: Keys, item: Any) -> bool:
    try:
        if is_hugging_face(dataset):
            keys = feature_keys(dataset.features, chosen)
        else:
            keys = RawSource(dataset, chosen, verified=True).keys_of(item)
    except DatasetError:  # what is wrong with it, the reading of raw items says
        return False
    return keys is not None and isinstance(item, Mapping) and item.get(keys.image, item) is None


def _is_readable(source: RawSource, index: int) -> bool:
    try:
        with naming_item(index):
            record = source.read(index)
            _load((record.image,))
    except DatasetError:
        return False
    return True


def _own_items(dataset: Any, indices: list[int]) -> dict[int, Any]:
    """Items as the dataset itself gives them, for one random state."""
    items = {}
    for index in indices:
        with naming_item(index):
            seed_all(0)
            items[index] = dataset[index]
    return items


def _reproduces(source: RawSource, own: dict[int, Any]) -> bool:
    """Whether replayed items equal the dataset's own, for the same random state."""
    for index, item in own.items():
        seed_all(0)
        record = source.read(index)
        try:
            same = same_parts(item, record.finish())
        except Exception:
            record.check_found()
            raise
        if not same:
            return False
    return True


def _repeats(dataset: Any, own: dict[int, Any], rounds: int) -> bool:
    """Whether the dataset itself gives the same items again for the same random state."""
    return all(
        same_parts(own[index], item) for _ in range(rounds) for index, item in _own_items(dataset, list(own)).items()
    )


def _check_followed(source: RawSource, dataset: Any, own: dict[int, Any]) -> None:
    """Where replays cannot be compared, since transforms have random states of their own, all calls must be followed.

    Raises:
        DatasetError: they can be compared, and differ, or a call cannot be followed.
    """
    records = [source.read(index) for index in own]
    for record in records:
        record.check_found()
    # Rare augmentations may be the same a few times by chance.
    if _repeats(dataset, own, _ROUNDS):
        raise DatasetError("the replayed items differ")
    for record in records:
        record.finish()


def _check_stable(source: RawSource, indices: list[int], reason: str) -> None:
    for index in indices:
        digests = set()
        # What cannot be followed may be random, if only rarely.
        for seed in range(_MANY_ROUNDS if reason else _SEEDS):
            seed_all(seed)
            record = source.read(index)
            with naming_item(index):
                digests.add(fingerprint(record.stored_image, repr(record.label)))
        if len(digests) > 1:
            raise hidden_augmentation(index, reason)
