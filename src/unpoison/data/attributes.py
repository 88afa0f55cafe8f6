"""What scripts read off a dataset beside its items, as far as it can be clean."""

from abc import abstractmethod
from typing import Any, NoReturn

import numpy as np
import torch

from ..errors import RawDataError
from ..keep import KEEP
from .hugging_face import is_hugging_face
from .items import class_of
from .peeling import own_transform
from .served import Replacement


class ScriptAttributes(Replacement):
    """The attributes of torchvision's and Hugging Face's datasets, each where the wrapped dataset has it."""

    @abstractmethod
    def _clean_labels(self) -> list[int | str]:
        """The class of each sample served."""

    @abstractmethod
    def _labels_as_they_came(self) -> list[int | str | None]:
        """The class of each sample of the wrapped dataset; None where it could not be read."""

    @property
    def targets(self) -> Any:
        """The class of each sample served, before `target_transform`: a list, or an array or tensor where the
        wrapped dataset's own `targets` are one."""
        return _like(getattr(self.dataset, "targets", None), self._clean_labels())

    @property
    def labels(self) -> Any:
        """As `targets`, for datasets that call them so.

        Raises:
            AttributeError: the wrapped dataset has no labels.
            RawDataError: what it calls labels is something else.
        """
        own = self._own("labels")
        try:
            pairs = zip(own, self._labels_as_they_came(), strict=True)
            same = all(came is None or class_of(label) == came for label, came in pairs)
        except (ValueError, TypeError):  # not as many, or no classes
            same = False
        if not same:
            raise RawDataError(
                f"`labels` of {type(self.dataset).__name__} are not the labels of its items, so nothing says what of "
                "them is clean: use `targets`"
            )
        return _like(own, self._clean_labels())

    @property
    def transforms(self) -> Any:
        """What is applied to image and label together, as torchvision's datasets have it.

        Raises:
            AttributeError: the wrapped dataset has none.
        """
        own = self._own("transforms")
        if self._transform is KEEP and self._target_transform is KEEP:
            return own
        from torchvision.datasets.vision import StandardTransform

        return StandardTransform(self.transform, self.target_transform)

    @property
    def features(self) -> Any:
        """Of a Hugging Face dataset: what its columns hold.

        Raises:
            AttributeError: the wrapped dataset is another.
        """
        return self._of_hugging_face("features")

    @property
    def column_names(self) -> list[str]:
        """Of a Hugging Face dataset.

        Raises:
            AttributeError: the wrapped dataset is another.
        """
        names: list[str] = self._of_hugging_face("column_names")
        return names

    @property
    def num_rows(self) -> int:
        """Of a Hugging Face dataset: how many samples are served.

        Raises:
            AttributeError: the wrapped dataset is another.
        """
        self._of_hugging_face("num_rows")
        return len(self)

    @property
    def samples(self) -> Any:
        """Not served: the files and labels as they came.

        Raises:
            RawDataError: the wrapped dataset has them; AttributeError where it has none.
        """
        self._refuse("samples")

    @property
    def imgs(self) -> Any:
        """Not served: see `samples`."""
        self._refuse("imgs")

    @property
    def data(self) -> Any:
        """Not served: the pixels as they came; see `samples`."""
        self._refuse("data")

    def _own(self, name: str) -> Any:
        value = own_transform(self.dataset, name) if name == "transforms" else getattr(self.dataset, name, None)
        if value is None:
            raise AttributeError(f"{type(self.dataset).__name__} has no attribute {name!r}")
        return value

    def _of_hugging_face(self, name: str) -> Any:
        if not is_hugging_face(self.dataset):
            raise AttributeError(f"{type(self.dataset).__name__} has no attribute {name!r}")
        return getattr(self.dataset, name)

    def _refuse(self, name: str) -> NoReturn:
        self._own(name)
        raise RawDataError(
            f"`{name}` of {type(self.dataset).__name__} holds the data as they came, not the clean ones: read the "
            f"items of this dataset, its `targets`, or its `shards`; the raw ones are in `.dataset.{name}`"
        )


def _like(own: Any, labels: list[int | str]) -> Any:
    if isinstance(own, torch.Tensor):
        return torch.tensor(labels, dtype=own.dtype)
    if isinstance(own, np.ndarray):
        return np.array(labels, own.dtype)
    return labels
