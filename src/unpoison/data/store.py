"""The memory-mapped working copy of a dataset.

It is decoded once, in worker processes, and streamed to disk: memory never holds the dataset.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import DamagedError, UnreadableError
from ..progress import Bar
from ..report import Unreadable
from .access import RawView
from .checksums import MAX_FILE, Checked
from .decoding import Decode
from .pixels import Pixels
from .reading import map_array, parsing
from .survey import OnUnreadable, Survey
from .workers import over_items

FORMAT = 5
"""2 added the positions of the items and those that cannot be decoded, 3 the digest of the pixels, 4 that of each
image; 5 is of photographs that are decoded at a reduced size."""
_IMAGES, _LABELS, _POSITIONS, _META = "images.npy", "labels.npy", "positions.npy", "meta.json"
_CHECKSUMS = "checksums.npy"


class _Meta(msgspec.Struct):
    """What `meta.json` holds."""

    format: int
    digest: str
    pixels: str
    unreadable: list[Unreadable]


class ImageStore:
    """A dataset at working resolution, in a folder of checked files.

    Attributes:
        images: uint8 [M,H,W,C], memory-mapped copy-on-write: changes never reach the file.
        labels: int64 [M] in 0..num_classes-1, numbered without gaps.
        positions: int64 [M], ascending; where the images are in the dataset.
        unreadable: the items that turned out to be unreadable when they were decoded.
        folder: where it is.
        class_ids: int64 [num_classes]; the dataset's own number of each class.
        digest: sha256 of the dataset's content, in hexadecimal.
        pixels: sha256 of `images` and `labels`, in hexadecimal: of all that a method sees.
    """

    def __init__(
        self,
        folder: Path,
        images: Pixels,
        labels: npt.NDArray[np.int64],
        class_ids: npt.NDArray[np.int64],
        positions: npt.NDArray[np.int64],
        unreadable: list[Unreadable],
        digest: str,
        pixels: str,
        checksums: npt.NDArray[np.uint8],
    ) -> None:
        self._checksums = checksums
        self.folder, self.images, self.labels, self.class_ids = folder, images, labels, class_ids
        self.positions, self.unreadable, self.digest, self.pixels = positions, unreadable, digest, pixels

    @property
    def num_classes(self) -> int:
        return len(self.class_ids)

    def rows(self, positions: Any) -> Any:
        """int64, of the shape of `positions`; where the items at these positions of the dataset are in `images`."""
        return np.searchsorted(self.positions, positions)

    def checked(self, row: int) -> Pixels:
        """uint8 [H,W,C]; one of the images, compared with what was written.

        Raises:
            DamagedError: it is not what was written.
        """
        image: Pixels = np.asarray(self.images[row])
        if hashlib.sha256(image.data).digest() != self._checksums[row].tobytes():
            raise DamagedError(self.folder / _IMAGES, f"image {row} is not the one that was written")
        return image

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Opens what `build` wrote, after its files were listed by `write_sums`. Its images are too many to be checked
        now: see `checked`.

        Raises:
            CacheError: the folder holds no store, a damaged one or one of a newer format.
        """
        folder = Path(folder)
        files = Checked(folder)
        meta = files.json(_META, _Meta, newest=FORMAT)
        labels, positions = files.array(_LABELS, "i", 1), files.array(_POSITIONS, "i", 1)
        checksums = files.array(_CHECKSUMS, "u", 2)
        images = map_array(folder / _IMAGES, MAX_FILE, "u", 4)
        with parsing(folder / _IMAGES):
            if images.shape[:1] != checksums.shape[:1] or images.dtype != np.uint8:
                raise ValueError("it holds other images")
        class_ids, numbered = np.unique(labels, return_inverse=True)
        return cls(
            folder, images, numbered.astype(np.int64), class_ids, positions, meta.unreadable, meta.digest, meta.pixels,
            checksums,
        )  # fmt: skip

    @classmethod
    def build(
        cls,
        view: RawView,
        found: Survey,
        folder: str | Path,
        *,
        on_unreadable: OnUnreadable = "raise",
        num_workers: int | None = None,
        bar: Bar | None = None,
    ) -> None:
        """Decodes every image once and writes the store into an existing folder.

        Args:
            view: the raw items.
            found: their survey.
            on_unreadable: whether images that cannot be decoded are an error or left out.
            num_workers: processes to decode with; chosen from the machine and the dataset's size when None.

        Raises:
            UnreadableError: an image is damaged, and that is an error.
            DatasetError: one has changed since it was surveyed.
        """
        folder = Path(folder)
        height, width = found.working_size
        decode = Decode(found.levels, found.channels, height, width, found.digests)
        seen = hashlib.sha256(repr((height, width, found.channels)).encode())
        left, unreadable, checksums = [], [], bytearray()
        with (folder / _IMAGES).open("wb") as file:
            _write_header(file, (len(found.readable), height, width, found.channels))
            # Written in sequence, not through a map: a full disk is then an error and not a bus error.
            results = over_items(view, found.readable, decode, num_workers, bar)
            for position, result in zip(found.readable.tolist(), results, strict=True):
                if not isinstance(result, UnreadableError):
                    data = result.tobytes()
                    file.write(data)
                    seen.update(data)
                    checksums += hashlib.sha256(data).digest()
                    left.append(position)
                elif on_unreadable == "raise":
                    raise result
                else:
                    unreadable.append(Unreadable.of(position, result))
            if unreadable:
                file.seek(0)
                _write_header(file, (len(left), height, width, found.channels))
        positions = np.array(left, np.int64)
        labels = found.labels[positions]
        seen.update(np.unique(labels, return_inverse=True)[1].astype("<i8").tobytes())
        np.save(folder / _LABELS, labels, allow_pickle=False)
        np.save(folder / _POSITIONS, positions, allow_pickle=False)
        np.save(folder / _CHECKSUMS, np.frombuffer(checksums, np.uint8).reshape(-1, 32), allow_pickle=False)
        meta = _Meta(format=FORMAT, digest=found.digest, pixels=seen.hexdigest(), unreadable=unreadable)
        (folder / _META).write_text(json.dumps(msgspec.to_builtins(meta)))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Of the same length for every count of images: it is padded."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
