"""What is known of a dataset before any of its files is decoded."""

import dataclasses
import hashlib
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..image_files import ImageFiles
from ..report import Unreadable
from .eight_bit import Levels
from .facts import Texts

OnUnreadable = Literal["raise", "skip"]
MAX_SIDE, MIN_SIDE = 64, 8
"""Pixels on either side of the working copy: at most, unless the user says otherwise, and at least."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of a dataset of N items before any file is decoded."""

    labels: npt.NDArray[np.int64]
    """int64 [N]; class numbers as they came, or positions in `names` where labels are strings; -1 where not known."""
    names: list[str] | None
    """Names of the classes by number, where they are known."""
    text_labels: bool
    """Whether the dataset's labels are strings."""
    sizes: npt.NDArray[np.int64]
    """int64 [N,2]; height and width, 0 where the item cannot be read."""
    channels: int
    """1 if all images are grey, else 3."""
    levels: Levels
    """The value of white in images that are not uint8."""
    digests: npt.NDArray[np.uint8]
    """uint8 [N,32]; sha256 of each image and label."""
    extension: str
    """Of the image members in shards: of the most common format of the dataset's files, "png" if it has none."""
    only_pixels: bool
    """Whether all images are files that decode to "RGB" images of which nothing but the pixels matters."""
    plain_jpegs: npt.NDArray[np.bool_]
    """bool [N]; see `Encoded.is_plain_jpeg`."""
    form: str
    """sha256, in hexadecimal, of where image and label lie in each item, and of how its image is decoded."""
    paths: Texts
    """Of the image of each item; empty where it comes from no file."""
    readable: npt.NDArray[np.int64]
    """int64 [M], ascending; positions of the items that can be read, as far as is known without decoding."""
    unreadable: list[Unreadable]
    """The others."""
    hidden: dict[str, int]
    """Hidden folders that images lie in, and how many of them."""
    max_side: int = MAX_SIDE
    """Bound on the longer side of the working copy, in pixels."""

    @cached_property
    def files(self) -> ImageFiles | None:
        """Where the images lie; None where they come from no files."""
        return ImageFiles.of(self.paths.all())

    @property
    def digest(self) -> str:
        """sha256 of the whole content, in hexadecimal."""
        return hashlib.sha256(self.digests.tobytes()).hexdigest()

    @property
    def exact(self) -> bool:
        """Whether the working copy holds just what the images decode to."""
        return self.only_pixels and bool((self.sizes[self.readable] == self.working_size).all())

    @property
    def working_size(self) -> tuple[int, int]:
        """(height, width) of the working copy."""
        return common_size(self.sizes[self.readable], self.max_side)


def common_size(sizes: npt.NDArray[np.int64], max_side: int) -> tuple[int, int]:
    """(height, width) for images of sizes int64 [N,2]: native if all agree and fit, else the median, scaled to fit."""
    size = sizes[0] if (sizes == sizes[0]).all() else np.median(sizes, axis=0)
    scaled = np.rint(size * min(1.0, max_side / size.max()))
    height, width = np.maximum(scaled, MIN_SIDE).astype(int).tolist()
    return height, width
