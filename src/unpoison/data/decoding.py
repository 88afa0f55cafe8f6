"""The pixels of a surveyed dataset's items, which must still be what they were."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .access import RawView
from .eight_bit import Levels, to_eight_bit
from .encoded import Encoded
from .item_errors import naming_item
from .pixels import Pixels, resize
from .record import Record
from .survey import Survey

OVERSIZE = 4
"""Times the working copy that JPEG files are decoded at, at least. On photographs of 800 to 4,000 pixels the copy then
differs from that of a full decode by .1 grey levels on average and 2 at most; at twice its size, by up to .6 and 20."""


@dataclasses.dataclass(frozen=True)
class Decode:
    """Gives an item at the size, and with the channels, of the working copy: uint8 [H,W,C]."""

    levels: Levels
    channels: int
    height: int
    width: int
    digests: npt.NDArray[np.uint8]

    def __call__(self, view: RawView, index: int) -> Pixels:
        record = view.read(index)
        with naming_item(index, record.file):
            image = record.stored_image
            if isinstance(image, Encoded):
                image = image.decode(OVERSIZE * max(self.height, self.width))
            colour = to_eight_bit(image, self.levels, self.channels).colour
        check_same(view, record, self.digests)
        return resize(colour, self.height, self.width)


def check_same(view: RawView, record: Record, digests: npt.NDArray[np.uint8]) -> None:
    """Checks that an item is the one that was surveyed, by the digests uint8 [N,32] of all.

    Raises:
        DatasetError: it has changed since, or is another one each time.
    """
    if record.digest() != digests[record.index].tobytes():
        raise view.change(record, 'changed while the dataset was being cleaned: run again, with reread="all"')


def read_images(view: RawView, found: Survey, positions: Iterable[int], size: tuple[int, int]) -> Pixels:
    """Decodes items of a surveyed dataset into memory: uint8 [M,H,W,C] of a size (height, width)."""
    decode = Decode(found.levels, found.channels, *size, found.digests)
    return np.stack([decode(view, position) for position in positions])
