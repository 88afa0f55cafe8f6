"""What wrappers that replace some images and labels of a dataset have in common."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch.utils.data import Dataset

from ..checks import Transform, checked
from ..keep import KEEP
from .peeling import own_transform
from .record import Record


class Replacement(Dataset[Any], ABC):
    """A dataset that serves another one's items with some images and labels replaced."""

    dataset: Any
    """The wrapped dataset."""
    _transform: Any = KEEP
    _target_transform: Any = KEEP

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _sample(self, position: int) -> tuple[Record, Any, Any]:
        """The raw record behind a position in 0..len-1, and the image and label that replace its own, or KEEP."""

    @property
    @abstractmethod
    def classes(self) -> list[str]:
        """Names of the classes by number.

        Raises:
            AttributeError: the wrapped dataset does not name its classes.
        """

    @property
    def transform(self) -> Any:
        """What is applied to images: the one set here, else the wrapped dataset's own; None where it has none.

        One that is set here is applied to the raw image in place of all transforms of the dataset's own; None then
        means none.
        """
        return own_transform(self.dataset, "transform") if self._transform is KEEP else self._transform

    @transform.setter
    @checked
    def transform(self, transform: Transform) -> None:
        self._transform = transform

    @property
    def target_transform(self) -> Any:
        """What is applied to labels: the one set here, else the wrapped dataset's own; None where it has none."""
        if self._target_transform is KEEP:
            return own_transform(self.dataset, "target_transform")
        return self._target_transform

    @target_transform.setter
    @checked
    def target_transform(self, target_transform: Transform) -> None:
        self._target_transform = target_transform

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Number of each class by name."""
        return {name: number for number, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> Any:
        """The item at a position, negative from the end, through the wrapped dataset's transforms.

        Raises:
            IndexError: there is no such position.
            TypeError: it is no integer, but a slice, say.
        """
        record, image, label = self._sample(self._position(index))
        return record.finish(image, label, transform=self._transform, target_transform=self._target_transform)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Several items; DataLoaders prefer this method."""
        return [self[index] for index in indices]

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]

    def unpoison_raw(self) -> "_Raw":
        """The items without transforms, for a dataset that wraps this one."""
        return _Raw(self)

    def _position(self, index: int) -> int:
        try:
            position, count = operator.index(index), len(self)
        except TypeError as error:
            raise TypeError(
                f"a position is an integer, got {type(index).__name__}: take several by "
                "torch.utils.data.Subset(dataset, range(...))"
            ) from error
        if not -count <= position < count:
            raise IndexError(f"position {position} is outside the {count} samples")
        return position % count


class _Raw:
    """Items without transforms; images that were not replaced may still be their file's bytes."""

    def __init__(self, served: Replacement) -> None:
        self._served = served

    def __len__(self) -> int:
        return len(self._served)

    def __getitem__(self, index: int) -> Any:
        record, image, label = self._served._sample(self._served._position(index))
        image = record.stored_image if image is KEEP else image
        return record.note_again(image, record.label if label is KEEP else label)
