"""Pixels as PNG data URIs, few enough for the page."""

import base64
import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..pictures import Crop, Footprint, Pictures

FULL = 200
"""Grey levels that the larger differences are amplified to, by a power of two up to `MOST`."""
MOST = 16


class Native(NamedTuple):
    """Part of an original before and after repair, as data URIs."""

    before: str
    after: str
    place: str
    """In words."""
    height: int
    width: int


class Shown(NamedTuple):
    """One image as data URIs."""

    position: int
    file: str
    before: str
    after: str
    """"" where the image was not restored, and so below."""
    difference: str
    native: Native | None
    """Where there is a crop of the original."""

    @property
    def bytes(self) -> int:
        """On the page."""
        copies = len(self.before) + len(self.after) + len(self.difference)
        return copies if self.native is None else copies + len(self.native.before) + len(self.native.after)


def png(pixels: npt.NDArray[np.uint8]) -> str:
    """uint8 [H,W,C] as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "png", compress_level=6)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def heat(footprint: Footprint) -> str:
    """A change as a picture: black where there is none, bright where it is largest."""
    from matplotlib import colormaps

    share = footprint.change / max(float(footprint.change.max()), 1e-6)
    pixels: npt.NDArray[np.uint8] = colormaps["inferno"](share, bytes=True)[..., :3]
    return png(np.ascontiguousarray(pixels))


def amplification(pictures: Pictures, restored: npt.NDArray[np.bool_]) -> int:
    """How many times differences are amplified, so that faint ones are seen; 0 where there are none."""
    if not restored.any():
        return 0
    difference = _difference(pictures.before[restored], pictures.after[restored])
    large = max(float(np.quantile(difference, 0.999)), 1.0)
    return 1 << int(np.log2(np.clip(FULL / large, 1, MOST)))


def shown(pictures: Pictures, restored: npt.NDArray[np.bool_], gain: int, max_bytes: int) -> list[Shown]:
    """As many images as fit into so many bytes; bool [M] says which were restored."""
    found: list[Shown] = []
    used = 0
    rows = zip(pictures.index.tolist(), pictures.files, pictures.before, pictures.after, restored, strict=True)
    for row, (position, file, before, after, changed) in enumerate(rows):
        difference = np.minimum(_difference(before, after) * gain, 255).astype(np.uint8)
        restoration = (png(after), png(difference)) if changed else ("", "")
        native = _native(pictures.crops[row]) if changed and row in pictures.crops else None
        picture = Shown(position, file, png(before), *restoration, native)
        used += picture.bytes
        if used > max_bytes:
            break
        found.append(picture)
    return found


def _native(crop: Crop) -> Native:
    height, width = crop.before.shape[:2]
    full = " × ".join(map(str, crop.size))
    place = f"{height} × {width} of {full} pixels, from row {crop.top} and column {crop.left}"
    return Native(png(crop.before), png(crop.after), place, height, width)


def _difference(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    return np.abs(after.astype(np.int16) - before.astype(np.int16))
