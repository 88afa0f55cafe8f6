"""Any image as 8-bit pixels, and 8-bit pixels as an image of the same kind."""

import io
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from .encoded import Encoded
from .images import NUMERIC_MODES, colour_channels, planes_of
from .pixels import Pixels, to_pil, with_channels


class Levels(NamedTuple):
    """The value of white in images that are not uint8; one per dataset, see `unpoison.data.ranges`."""

    floating: float = 1.0
    integer: float = 255.0

    def of(self, dtype: np.dtype[Any]) -> float:
        if dtype == np.uint8:
            return 255.0
        return 1.0 if dtype.kind == "b" else self.floating if dtype.kind == "f" else self.integer


class EightBit(NamedTuple):
    """An image as the models see it."""

    colour: Pixels
    """uint8 [H,W,C], C = 1 (grey) or 3 (RGB)."""
    alpha: Pixels | None
    """uint8 [H,W] where the image has an alpha channel."""

    def png(self) -> bytes:
        """The same pixels as a PNG file; the same bytes for the same pixels."""
        image = to_pil(self.colour)
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        buffer = io.BytesIO()
        image.save(buffer, "png", compress_level=1)
        return buffer.getvalue()


def to_eight_bit(image: Any, levels: Levels, channels: int | None = None) -> EightBit:
    """The pixels of any image.

    Args:
        image: PIL image, encoded image, or array or tensor [H,W], [H,W,C] or [C,H,W].
        levels: value of white for floats and wide integers.
        channels: 1 or 3 to convert grey to RGB or back; as the image has it when None.

    Raises:
        DatasetError: an image of a kind that is not supported.
    """
    if isinstance(image, Encoded):
        image = image.decode()
    alpha: Pixels | None = None
    if isinstance(image, Image.Image) and image.mode not in NUMERIC_MODES:
        grey = colour_channels(image) == 1
        if image.mode in ("LA", "RGBA") or (image.mode == "P" and "transparency" in image.info):
            rgba = image.convert("RGBA")
            alpha = np.array(rgba.getchannel("A"))
            image = rgba if image.mode == "P" else image
        colour = np.array(image.convert("L"))[..., None] if grey else np.array(image.convert("RGB"))
    else:
        array, _ = planes_of(image)
        if array.dtype != np.uint8:
            array = np.clip(np.rint(array * (255.0 / levels.of(array.dtype))), 0, 255).astype(np.uint8)
        count = array.shape[2]
        colour = array[..., : 1 if count < 3 else 3]
        if count in (2, 4):
            alpha = np.ascontiguousarray(array[..., -1])
    return EightBit(with_channels(np.ascontiguousarray(colour), channels), alpha)


def from_eight_bit(colour: Pixels, like: Any, levels: Levels) -> Any:
    """Pixels uint8 [H,W,C] as an image of the type, mode, dtype, range and layout of `like`, with its alpha."""
    if isinstance(like, Encoded):
        like = like.decode()
    if isinstance(like, Image.Image) and like.mode not in NUMERIC_MODES:
        return _restore_mode(to_pil(colour), like)
    array, layout = planes_of(like)
    white = levels.of(array.dtype)
    planes: npt.NDArray[Any] = with_channels(colour, 1 if array.shape[2] < 3 else 3)
    planes = planes.astype(np.float64 if array.dtype == np.float64 else np.float32)
    # The division by 255 comes first and alone for 0..1 floats, so that values equal those of ToTensor.
    planes = planes / 255 if white == 1 else planes * (white / 255)
    if array.dtype.kind in "iu":
        # White may be more than the type holds, as in int16.
        planes = np.clip(np.rint(planes), 0, np.iinfo(array.dtype).max)
    elif array.dtype.kind == "b":
        planes = np.rint(planes)
    out = np.concatenate([planes.astype(array.dtype), array[..., planes.shape[2] :]], axis=2)
    out = np.ascontiguousarray(out[..., 0] if layout == "HW" else out.transpose(2, 0, 1) if layout == "CHW" else out)
    if isinstance(like, Image.Image):
        return Image.fromarray(out)
    if isinstance(like, torch.Tensor):
        return torch.from_numpy(out).to(like.device, like.dtype).as_subclass(type(like))
    return out


def decode_png(data: bytes) -> Pixels:
    """The colour channels uint8 [H,W,C] of a PNG that `EightBit.png` made."""
    return to_eight_bit(Encoded(data), Levels()).colour


def _restore_mode(image: Image.Image, like: Image.Image) -> Image.Image:
    """An "L" or "RGB" image in the mode of `like`, with the alpha of `like`."""
    match like.mode:
        case "LA" | "RGBA":
            image = image.convert(like.mode[:-1])
            image.putalpha(like.getchannel("A"))
            return image
        case "1":
            return image.convert("L").convert("1", dither=Image.Dither.NONE)
        case "P":
            image = image.convert("RGB")
            if "transparency" in like.info:
                image.putalpha(like.convert("RGBA").getchannel("A"))
            return _with_palette(image)
        case "CMYK" | "YCbCr" | "HSV":
            return image.convert("RGB").convert(like.mode)
        case mode:
            return image.convert(mode)


def _with_palette(image: Image.Image) -> Image.Image:
    """An "RGB" or "RGBA" image in mode "P": exact up to 256 colours, else with the 256 that fit best."""
    pixels = np.array(image).reshape(-1, len(image.mode))
    colours, places = np.unique(pixels, axis=0, return_inverse=True)
    if len(colours) > 256:
        return image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    out = Image.fromarray(places.astype(np.uint8).reshape(image.height, image.width))
    out.putpalette(colours[:, :3].tobytes())
    if image.mode == "RGBA":
        out.info["transparency"] = colours[:, 3].tobytes()
    return out
