"""Where raw items come from: a dataset that was peeled, and which of its fields are image and label."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import UnreadableError
from .item_errors import naming_item
from .items import Keys, find_keys
from .origins import Origins, origins_of
from .peeling import LAZY_CONTAINERS, load_rgb
from .record import Record
from .steps import collecting_steps


class RawSource(NamedTuple):
    """A dataset with raw items."""

    raw: Any
    chosen: Keys
    """Which fields are image and label, where the user says so."""
    verified: bool
    """Whether replays were found equal to the dataset's own items."""

    def read(self, index: int) -> Record:
        """The raw item at a position.

        Raises:
            UnreadableError: the item cannot be read.
            DatasetError: it is not (image, label, ...).
        """
        with naming_item(index), collecting_steps() as steps:
            item = self.raw[index]
            keys = self.keys_of(item)
            if item[keys.image] is None:
                raise UnreadableError("the image is missing")
            return Record(index, item, keys, steps, self.verified)

    def keys_of(self, item: Any) -> Keys:
        """Where image and label are in an item; raises DatasetError where that is not clear."""
        raw = self.raw
        while type(raw).__getitem__ in LAZY_CONTAINERS:
            raw = raw.dataset if hasattr(raw, "dataset") else raw.datasets[0]
        keys = getattr(raw, "keys_by_features", None)
        return keys if isinstance(keys, Keys) and isinstance(item, Mapping) else find_keys(item, self.chosen)

    def origins(self) -> Origins | None:
        """What decides the items' content, where that is known without reading them."""
        origins = origins_of(self.raw, load_rgb)
        # In other fields lie other images and labels.
        return None if origins is None else origins._replace(names=origins.names | {f"fields {self.chosen}"})
