"""Images and labels in memory, as a dataset."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset


class LabelledImages(Dataset[tuple[npt.NDArray[np.uint8], int]]):
    """A dataset in memory, with items (uint8 [H,W,C], int).

    Attributes:
        images: uint8 [N,H,W,C].
        labels: int64 [N].
    """

    def __init__(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], int]:
        return self.images[index], int(self.labels[index])

    @classmethod
    def of(cls, dataset: Any, shape: tuple[int, ...] = (0, 0, 3)) -> Self:
        """Reads a dataset whose items are of this kind.

        Args:
            shape: (H, W, C) of its images, which one without any does not tell.
        """
        items = [dataset[index] for index in range(len(dataset))]
        images = np.stack([item[0] for item in items]) if items else np.empty((0, *shape), np.uint8)
        return cls(images, np.array([item[1] for item in items], np.int64))
