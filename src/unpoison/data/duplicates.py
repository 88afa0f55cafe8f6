"""Images that are the same to the eye, found by their pixels: exact and re-encoded copies, placeholders, blank images.

A k-d tree of 4 x 4 grey thumbnails proposes neighbours, and a comparison of all pixels confirms them. What differs by
less than the limit is a copy, and the limit is set by the data: a fraction of the images' own detail, so that
compression is allowed and a movement by a third of a pixel is not, and a fraction of how far two images of the same
class usually lie apart, so that classes of much the same images are no heaps of copies.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import rules

NEIGHBOURS, PAIRS, HIGH = 8, 32, 0.75
"""Candidates of an image; pairs of a class that tell how far its images lie apart, and the quantile that counts: above
the middle, for a class may be copies for the most part."""
_GRID, _BLOCK, _CHUNK = 4, 4, 2048
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_Index = npt.NDArray[np.int64]
_Pixels = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float32]


class Duplicates(NamedTuple):
    """Which of N images are copies of which."""

    of: _Index
    """int64 [N]; position of the first image of its group, that of the first itself included; -1 without a copy."""
    blank: npt.NDArray[np.bool_]
    """bool [N]; whether the images of the group show nothing: all pixels are within `rules.FLAT` of their channel's
    mean."""


def find_duplicates(images: _Pixels, labels: _Index) -> Duplicates:
    """Finds them, whatever their labels are.

    Args:
        images: uint8 [N,H,W,C], which may be mapped from disk: they are read in parts.
        labels: int64 [N].
    """
    first = _exact(images)
    different, place = np.unique(first, return_inverse=True)
    left, right = _candidates(_thumbnails(images, different))
    usual = _usual(images, labels, different)
    limits = usual[labels[different]]

    def same(one: _Index, other: _Index) -> npt.NDArray[np.bool_]:
        return _same(images, different[one], different[other], np.minimum(limits[one], limits[other]))

    confirmed = same(left, right)
    leader = _leaders(len(different), left[confirmed], right[confirmed], same)
    of = different[leader][place]
    of[np.bincount(of, minlength=len(of))[of] < 2] = -1
    heads = np.unique(of[of >= 0])
    return Duplicates(of, np.isin(of, heads[_blank(images, heads)]))


def _blank(images: _Pixels, index: _Index) -> npt.NDArray[np.bool_]:
    """bool [n]; whether the chosen images show nothing."""
    found = [np.zeros(0, np.bool_)]
    for part in _parts(index):
        shown = images[part].astype(np.float32)
        found.append(np.abs(shown - shown.mean((1, 2), keepdims=True)).max((1, 2, 3)) <= rules.FLAT)
    return np.concatenate(found)


def _parts(index: _Index) -> list[_Index]:
    return np.array_split(index, -(-len(index) // _CHUNK)) if len(index) else []


def _exact(images: _Pixels) -> _Index:
    """int64 [N]; the first position of the same bytes."""
    seen: dict[bytes, int] = {}
    return np.array(
        [
            seen.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), position)
            for position, image in enumerate(images)
        ],
        np.int64,
    )


def _grey(images: _Pixels) -> _Floats:
    """float32 [n,H,W]."""
    pixels = images.astype(np.float32)
    return (pixels @ _GREY if images.shape[3] == 3 else pixels.mean(3)).astype(np.float32)


def _blocks(values: _Floats, rows: _Index, columns: _Index) -> _Floats:
    """Means over the blocks that begin at these rows and columns, of float32 [n,H,W,...]."""
    height, width = values.shape[1:3]
    sums = np.add.reduceat(np.add.reduceat(values, rows, 1), columns, 2)
    counts = np.outer(np.diff([*rows, height]), np.diff([*columns, width])).astype(np.float32)
    return (sums / counts.reshape(counts.shape + (1,) * (values.ndim - 3))).astype(np.float32)


def _thumbnails(images: _Pixels, index: _Index) -> _Floats:
    """float32 [n,16] of the chosen images; fewer numbers where these have fewer pixels."""
    rows, columns = (np.unique(np.arange(_GRID) * side // _GRID) for side in images.shape[1:3])
    parts = [_blocks(_grey(images[part]), rows, columns).reshape(len(part), -1) for part in _parts(index)]
    return np.concatenate(parts)


def _candidates(thumbnails: _Floats) -> tuple[_Index, _Index]:
    """Pairs of different places whose thumbnails, float32 [n,d], are near."""
    # Costs a third of a second, which not every import of the package should.
    from scipy.spatial import KDTree

    count, size = thumbnails.shape
    tree: Any = KDTree(thumbnails)
    nearest = [*range(1, min(NEIGHBOURS + 1, count) + 1)]
    _, found = tree.query(thumbnails, k=nearest, distance_upper_bound=rules.COPY_CANDIDATES * size**0.5)
    left = np.repeat(np.arange(count), found.shape[1])
    right = found.ravel().astype(np.int64)
    chosen = (right < count) & (left != right)
    pairs = np.unique(np.sort(np.stack([left[chosen], right[chosen]], 1), 1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _usual(images: _Pixels, labels: _Index, different: _Index) -> _Floats:
    """float32, by label; the limit that the distances between different images of a class set, in grey levels."""
    rng = np.random.default_rng(0)
    own = labels[different]
    usual = np.full(int(labels.max()) + 1, np.nan, np.float32)
    order = np.argsort(own, kind="stable")
    found, starts = np.unique(own[order], return_index=True)
    for label, members in zip(found, np.split(different[order], starts[1:]), strict=True):
        if len(members) > 1:
            usual[label] = _apart(images, members, rng)
    if np.isnan(usual).any():
        usual[np.isnan(usual)] = _apart(images, different, rng) if len(different) > 1 else 0
    return rules.COPY_DISTANCE * usual


def _apart(images: _Pixels, members: _Index, rng: np.random.Generator) -> np.float32:
    """How far different ones of these images lie apart, in grey levels."""
    count = min(PAIRS, 2 * len(members))
    one = rng.integers(0, len(members), count)
    other = (one + rng.integers(1, len(members), count)) % len(members)
    difference = _grey(images[members[one]]) - _grey(images[members[other]])
    return np.float32(np.quantile(np.sqrt((difference**2).mean((1, 2))), HIGH))


def _same(images: _Pixels, one: _Index, other: _Index, usual: _Floats) -> npt.NDArray[np.bool_]:
    """bool [n]; whether images at these positions, int64 [n], are copies, given limits for their classes."""
    rows, columns = (np.arange(0, side, _BLOCK) for side in images.shape[1:3])
    found = [np.zeros(0, np.bool_)]
    for begin in range(0, len(one), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        first, second = images[one[part]], images[other[part]]
        grey = [_grey(pixels) for pixels in (first, second)]
        detail = np.minimum(_detail(grey[0]), _detail(grey[1]))
        limit = np.minimum(usual[part], np.maximum(rules.VISIBLE, rules.COPY_DETAIL * detail))
        square = (grey[0] - grey[1]) ** 2
        whole, local = np.sqrt(square.mean((1, 2))), np.sqrt(_blocks(square, rows, columns).max((1, 2)))
        colour = _blocks(first.astype(np.float32) - second, rows, columns)
        tint = np.sqrt((colour**2).mean((1, 2)).max(1))
        found.append(
            (whole <= limit) & (local <= rules.COPY_BLOCK * limit) & (tint <= 2 * np.maximum(limit, rules.VISIBLE))
        )
    return np.concatenate(found)


def _detail(grey: _Floats) -> _Floats:
    """float32 [n]; the root mean square of the steps between neighbouring pixels, in grey levels."""
    steps = [np.diff(grey, axis=axis) ** 2 for axis in (1, 2)]
    means = [step.mean((1, 2)) if step.size else np.zeros(len(grey), np.float32) for step in steps]
    detail: _Floats = np.sqrt((means[0] + means[1]) / 2)
    return detail


def _leaders(count: int, left: _Index, right: _Index, same: Any) -> _Index:
    """int64 [count]; the first of the group of each place, by pairs that are the same.

    In a chain of small steps the ends differ: the members of a group are copies of its first.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(count, count))
    _, chain = connected_components(links, directed=False)
    leader = np.arange(count)
    pending = np.flatnonzero(np.bincount(chain)[chain] > 1)
    while len(pending):
        _, heads, members = np.unique(chain[pending], return_index=True, return_inverse=True)
        head = pending[heads][members]
        joined = (head == pending) | same(head, pending)
        leader[pending[joined]] = head[joined]
        pending = pending[~joined]
    return leader
