"""What any image is, whether encoded, of PIL, or an array or tensor: its size, channels, values and fingerprint."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ..errors import DatasetError, UnreadableError
from .encoded import Encoded
from .size_limit import check_pixels

NUMERIC_MODES = ("I", "F", "I;16")
_GREY_MODES = ("1", "L", "LA", *NUMERIC_MODES)
_COLOUR_MODES = ("RGB", "RGBA", "P", "CMYK", "YCbCr", "HSV")
UNREADABLE = hashlib.sha256(b"unreadable").digest()
"""Takes the place of the fingerprint of what cannot be read at all."""
ONE_RANGE = "bring all images into one range, as uint8 or as floats in 0..1"
_FIX = "convert the images to uint8 or 0..1 floats with 1 (grey) or 3 (RGB) channels"


def is_image(value: Any) -> bool:
    """Whether a value looks like one image: PIL, encoded, or an array or tensor of 2 or 3 dimensions."""
    return isinstance(value, (Encoded, Image.Image)) or (
        isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim in (2, 3)
    )


def image_size(image: Any) -> tuple[int, int]:
    """(height, width) of any image."""
    if isinstance(image, Encoded):
        return image.size
    if isinstance(image, Image.Image):
        check_pixels(image)
        return image.height, image.width
    height, width = planes_of(image)[0].shape[:2]
    return height, width


def colour_channels(image: Any) -> int:
    """1 for grey images, with or without alpha, else 3."""
    if isinstance(image, Encoded | Image.Image):
        if image.mode not in (*_GREY_MODES, *_COLOUR_MODES):
            raise DatasetError(f"images of mode {image.mode!r} are not supported: {_FIX}")
        return 1 if image.mode in _GREY_MODES else 3
    return 1 if planes_of(image)[0].shape[2] < 3 else 3


class Peak(NamedTuple):
    """The largest of an image's values."""

    kind: str
    """"f" (float), "i" (integer) or "" (8 bits, of which nothing else need be known)."""
    high: float = 0.0
    fractional: bool = False
    """Whether some of the values are no whole numbers."""


def peak(image: Any) -> Peak:
    """The kind of an image's values, and their maximum.

    Raises:
        DatasetError: the image has no pixels, or values that are negative, NaN or infinite.
    """
    if 0 in image_size(image):
        raise DatasetError("the image has no pixels: remove the item")
    if isinstance(image, Encoded | Image.Image) and image.mode not in NUMERIC_MODES:
        return Peak("")
    array = _values(image)
    if array.dtype == np.uint8 or array.dtype.kind == "b":
        return Peak("")
    low, high = float(array.min()), float(array.max())
    if not np.isfinite(low + high):
        raise DatasetError("the image has NaN or infinite pixels: repair or remove the item")
    if low < -1e-3:
        raise DatasetError(
            f"the image has negative pixels, down to {low:g}, as after Normalize: pass the raw dataset and give the "
            f"transforms as `transform=`; if the pixels are stored so, {ONE_RANGE}"
        )
    if array.dtype.kind != "f":
        return Peak("i", high)
    return Peak("f", high, bool((array != np.rint(array)).any()))


def fingerprint(image: Any, label: int | str) -> bytes:
    """sha256 of an image's exact content, kind and label; of the file's bytes where it is encoded."""
    digest = hashlib.sha256(repr(label).encode())
    if isinstance(image, Encoded):
        try:
            mode = image.mode
        except UnreadableError:  # it has an identity all the same: it may be repaired later
            mode = f"unreadable {image.fault}"
        digest.update(
            b"encoded %s %s" % (mode.encode(errors="backslashreplace"), b"turned " if image.may_turn else b"")
        )
        digest.update(image.data)
    elif isinstance(image, Image.Image):
        palette = image.getpalette() if image.mode == "P" else None
        kind = ("pil", image.mode, image.size, palette, image.info.get("transparency"))
        digest.update(repr(kind).encode())
        digest.update(image.tobytes())
    else:
        array = np.ascontiguousarray(_values(image))
        digest.update(repr((type(image).__name__, str(array.dtype), array.shape)).encode())
        digest.update(array.data if array.size else b"")
    return digest.digest()


def _values(image: Any) -> npt.NDArray[Any]:
    """The numbers of an image.

    Raises:
        DatasetError: it holds something else, or nothing that can be read.
    """
    if isinstance(image, Encoded):
        image = image.decode()
    if isinstance(image, torch.Tensor):
        tensor = image.detach()
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_nested:
            raise DatasetError(f"the image is {in_words(image)}, which holds no plain pixels: {_FIX}")
        tensor = tensor.resolve_conj().resolve_neg().cpu()
        # NumPy knows no bfloat16, and no floats of 8 bits.
        known = not tensor.is_floating_point() or tensor.dtype in (torch.float16, torch.float32, torch.float64)
        array = tensor.numpy() if known else tensor.float().numpy()
    else:
        array = np.asarray(image)
    if array.dtype.kind not in "fiub":
        raise DatasetError(f"the image is {in_words(image)}, which are no pixels: {_FIX}")
    return array


def planes_of(image: Any) -> tuple[npt.NDArray[Any], str]:
    """Values [H,W,C] with C in 1..4, and the layout they came in. Tensors are read as [C,H,W] where both fit."""
    array = _values(image)
    if array.ndim == 2:
        return array[..., None], "HW"
    if array.ndim == 3:
        first, last = array.shape[0] in (1, 2, 3, 4), array.shape[2] in (1, 2, 3, 4)
        if first and (isinstance(image, torch.Tensor) or not last):
            return array.transpose(1, 2, 0), "CHW"
        if last:
            return array, "HWC"
    raise DatasetError(f"{array.dtype} {list(array.shape)} is not one image: {_FIX}")


def in_words(value: Any) -> str:
    """What a value is, for people: arrays and tensors with type, shape and, where it is unusual, layout and device."""
    kind = type(value).__name__
    if isinstance(value, np.ndarray):
        return f"{kind} {value.dtype} {list(value.shape)}"
    if not isinstance(value, torch.Tensor):
        return kind
    special = [str(value.layout).removeprefix("torch.")] if value.layout != torch.strided else []
    special += [str(value.device)] if value.is_meta else []
    # A nested tensor has no shape.
    shape = "nested" if value.is_nested else str(list(value.shape))
    return " ".join([kind, str(value.dtype).removeprefix("torch."), shape, *special])
