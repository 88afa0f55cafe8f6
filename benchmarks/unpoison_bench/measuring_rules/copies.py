"""What the numbers of copies are compared with: different images beside each other, JPEG copies, stamped copies.

On the side "clean" are different images, which must not be taken for copies; on the side "poison" are copies, which
must be, and for `COPY_BLOCK` copies with a stamp, which must not.
"""

import io
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from unpoison import rules
from unpoison.attacks import BadNets
from unpoison.data import duplicates

from ..shapes import Pixels
from .observing import Observations, Side, agree
from .sets import Data, Flags, Index

QUALITIES = (75, 85, 95)
COPIED, BLANK = 200, 50
"""Images of a set that are copied at every quality, and even ones that are."""


def observe(data: Data) -> Observations:
    """Of a set without poison. Images that are the same to the byte are copies for sure, and are left out."""
    seen = Observations()
    images, labels = data.images, data.labels
    different = np.unique(duplicates._exact(images))
    apart = duplicates._usual(images, labels, different)[labels] / rules.COPY_DISTANCE
    left, right = duplicates._candidates(duplicates._thumbnails(images, different))
    left, right = different[left], different[right]
    if len(left):
        _add(seen, "clean", _Distances.of(images, left, right, np.minimum(apart[left], apart[right])))

    chosen = np.sort(np.random.default_rng(0).permutation(different)[:COPIED])
    one = np.arange(len(chosen))

    def beside(others: Pixels) -> _Distances:
        return _Distances.of(np.concatenate([images[chosen], others]), one, one + len(chosen), apart[chosen])

    thumbnails = duplicates._thumbnails(images, chosen)
    for quality in QUALITIES:
        copies = compressed(images[chosen], quality)
        seen.add("COPY_CANDIDATES", "poison", _rms(thumbnails - duplicates._thumbnails(copies, one)))
        pairs = beside(copies)
        _add(seen, "poison", pairs)
        seen.add("COPY_BLOCK", "clean", pairs.blocks[pairs.near & pairs.alike])
    stamped = beside(BadNets().stamp(images[chosen].astype(np.float32)).round().astype(np.uint8))
    # White on white is no stamp, and what differs as a whole is no copy whatever one block says.
    shown = (stamped.block > rules.VISIBLE) & stamped.near & stamped.alike
    seen.add("COPY_BLOCK", "poison", stamped.blocks[shown])
    _blank(seen, images[different])
    return seen


def _rms(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = np.sqrt((rows**2).mean(1))
    return found


def compressed(images: Pixels, quality: int) -> Pixels:
    """uint8 [n,H,W,C] as JPEG leaves them."""
    out = np.empty_like(images)
    for place, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "JPEG", quality=quality)
        out[place] = np.asarray(Image.open(file)).reshape(image.shape)
    return out


class _Distances(NamedTuple):
    """Of n pairs, in grey levels, float32 [n]."""

    whole: npt.NDArray[np.float32]
    block: npt.NDArray[np.float32]
    """In the block that differs most."""
    detail: npt.NDArray[np.float32]
    """Of the image that has less."""
    apart: npt.NDArray[np.float32]
    """Between images of the class."""

    @classmethod
    def of(cls, images: Pixels, one: Index, other: Index, apart: npt.NDArray[np.float32]) -> Self:
        grey = [duplicates._grey(images[part]) for part in (one, other)]
        square = (grey[0] - grey[1]) ** 2
        rows, columns = (np.arange(0, side, duplicates._BLOCK) for side in images.shape[1:3])
        found = cls(
            whole=np.sqrt(square.mean((1, 2))),
            block=np.sqrt(duplicates._blocks(square, rows, columns).max((1, 2))),
            detail=np.minimum(*(duplicates._detail(image) for image in grey)),
            apart=np.maximum(apart, 1e-6),
        )
        copies = duplicates._same(images, one, other, rules.COPY_DISTANCE * found.apart)
        # The package looks at the colours of what is left, too.
        agree("copies", True, bool((found.allowed | ~copies).all()))
        return found

    @property
    def near(self) -> Flags:
        near: Flags = self.whole <= rules.COPY_DISTANCE * self.apart
        return near

    @property
    def alike(self) -> Flags:
        alike: Flags = self.whole <= np.maximum(rules.VISIBLE, rules.COPY_DETAIL * self.detail)
        return alike

    @property
    def blocks(self) -> npt.NDArray[np.float32]:
        """In times the limit."""
        limit = np.minimum(rules.COPY_DISTANCE * self.apart, np.maximum(rules.VISIBLE, rules.COPY_DETAIL * self.detail))
        blocks: npt.NDArray[np.float32] = self.block / limit
        return blocks

    @property
    def allowed(self) -> Flags:
        allowed: Flags = self.near & self.alike & (self.blocks <= rules.COPY_BLOCK)
        return allowed


def _add(seen: Observations, side: Side, pairs: _Distances) -> None:
    """Each number is looked at where the other one would let the pair be a copy."""
    visible = pairs.whole > rules.VISIBLE
    seen.add("COPY_DETAIL", side, (pairs.whole / np.maximum(pairs.detail, 1e-6))[pairs.near & visible])
    seen.add("COPY_DISTANCE", side, (pairs.whole / pairs.apart)[pairs.alike])


def _blank(seen: Observations, images: Pixels) -> None:
    """Even images as JPEG leaves them, and the images of the set, of which an even one is no clean one."""
    rng = np.random.default_rng(0)
    shape = (BLANK, *images.shape[1:])
    even = np.broadcast_to(rng.integers(0, 256, (BLANK, 1, 1, images.shape[3]), np.uint8), shape)
    for quality in QUALITIES:
        copies = compressed(np.ascontiguousarray(even), quality)
        values = _deviation(copies)
        agree("FLAT", bool((values <= rules.FLAT).all()), bool(duplicates._blank(copies, np.arange(BLANK)).all()))
        seen.add("FLAT", "poison", values)
    values = _deviation(images)
    seen.add("FLAT", "clean", values[values > 0])


def _deviation(images: Pixels) -> npt.NDArray[np.float32]:
    """Largest distance of a pixel from its channel's mean, float32 [n], in grey levels."""
    shown = images.astype(np.float32)
    found: npt.NDArray[np.float32] = np.abs(shown - shown.mean((1, 2), keepdims=True)).max((1, 2, 3))
    return found
