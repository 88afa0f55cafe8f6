"""Any image as 8-bit pixels, and 8-bit pixels as an image of the same kind."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from ..errors import ConfigError, DatasetError, UnreadableError
from .files import read_regular
from .formats import extension_of, is_reviewed, readable, refusal
from .nested import nested_sizes

Pixels = npt.NDArray[np.uint8]

_DULL = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "gamma", "srgb", "progressive", "progression"}
"""Facts of a file that no transform looks at, unlike its orientation, transparency or colour profile."""
_MAY_TURN = (b"Exif", b"EXIF", b"eXIf", b"exif", b"rientation", b"adobe.xmp")
"""One of these is in every file that says how its image is turned, but for TIFF, which has a field of its own."""
_LYING = (5, 6, 7, 8)
"""Orientations that swap height and width."""
_TIFF = (b"II*\0", b"MM\0*")
_NUMERIC_MODES = ("I", "F", "I;16")
_GREY_MODES = ("1", "L", "LA", *_NUMERIC_MODES)
_COLOUR_MODES = ("RGB", "RGBA", "P", "CMYK", "YCbCr", "HSV")
UNREADABLE = hashlib.sha256(b"unreadable").digest()
"""Takes the place of the fingerprint of what cannot be read at all."""
MAX_PIXELS = 1 << 27
"""Of an image, unless the environment variable `UNPOISON_MAX_PIXELS` says otherwise: photographs of 100 megapixels
pass."""
ONE_RANGE = "bring all images into one range, as uint8 or as floats in 0..1"
_FIX = "convert the images to uint8 or 0..1 floats with 1 (grey) or 3 (RGB) channels"


class Encoded:
    """An image file's bytes, decoded on demand.

    Args:
        data: the file's content.
        mode: PIL mode to convert to after decoding; the file's own when None.
        rotate: whether to apply the EXIF orientation.
        formats: names of the Pillow formats that are decoded; all that are `readable` when None.
        path: where the file lies, for people; only a name where it is no file of its own, "" where nothing is known.
        fault: why there is no content; "" where there is.

    Attributes:
        pixels: uint8 [H,W,C]; what `decode` gives, where it is known: converted images are then made from it.
        jpeg_size: height and width, where the file is known to be a plain JPEG, see `is_plain_jpeg`.
    """

    def __init__(
        self,
        data: bytes,
        mode: str | None = None,
        rotate: bool = False,
        *,
        formats: tuple[str, ...] | None = None,
        path: str = "",
        fault: str = "",
    ) -> None:
        self.data, self._mode, self.rotate = data, mode, rotate
        self._formats, self.path, self.fault = formats, path, fault
        self.pixels: Pixels | None = None
        self.jpeg_size: tuple[int, int] | None = None

    @cached_property
    def _header(self) -> tuple[str, str, tuple[int, int], set[Any]]:
        # What a file says about itself may lie behind its pixels, which are then decoded.
        with self._open() as image, _decoding():
            size = image.height, image.width
            if self.may_turn and image.getexif().get(ExifTags.Base.Orientation) in _LYING:
                size = size[::-1]
            return str(image.format), image.mode, size, set(image.info)

    @property
    def extension(self) -> str:
        """Usual file name extension of the format, without a dot; taken from the content."""
        return extension_of(self._header[0])

    @property
    def is_portable(self) -> bool:
        """Whether who gets the file from a stranger decodes it, too."""
        return is_reviewed(self._header[0])

    @property
    def mode(self) -> str:
        return self._mode or self._header[1]

    @property
    def form(self) -> str:
        """How it is decoded: what else than the file decides the image."""
        return f"{self._mode} {self.rotate}"

    @cached_property
    def may_turn(self) -> bool:
        """Whether the file may say how the image is turned, and that is heeded."""
        return self.rotate and (self.data.startswith(_TIFF) or any(mark in self.data for mark in _MAY_TURN))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what it decodes to."""
        return self._header[2]

    @property
    def is_only_pixels(self) -> bool:
        """Whether `decode` gives an "RGB" image about which nothing else is known than its pixels."""
        return self.mode == "RGB" and self._header[3] <= _DULL

    @property
    def is_plain_jpeg(self) -> bool:
        """Whether its decoder needs nothing that only the header says, to give all that `decode` gives."""
        return self._mode == "RGB" and self._header[:2] == ("JPEG", "RGB") and self.is_only_pixels

    def decode(self) -> Image.Image:
        """The image; of several in one file, the first.

        Raises:
            UnreadableError: the file is missing, damaged, too large or of a format that is not decoded.
        """
        # Without a mode to convert to, the image is to be one that knows its file.
        if self.pixels is not None and self._mode is not None:
            return _to_pil(self.pixels)
        if self.jpeg_size is not None:
            # A third less time than with the header, which is read in Python, and a copy for the conversion.
            return Image.frombytes("RGB", self.jpeg_size[::-1], self.data, "jpeg", "RGB", "")
        image = self._open()
        with _decoding():
            image.load()
            if self.rotate and image.getexif().get(ExifTags.Base.Orientation) is not None:
                image = ImageOps.exif_transpose(image)
            return image if self._mode is None else image.convert(self._mode)

    def _open(self) -> Image.Image:
        if self.fault:
            raise UnreadableError(self.fault)
        if not self.data:
            raise UnreadableError("the file is empty")
        try:
            for size in nested_sizes(self.data):
                _check_size(size)
            image = Image.open(io.BytesIO(self.data), formats=readable() if self._formats is None else self._formats)
            check_pixels(image)
            return image
        except UnreadableError:
            raise
        except UnidentifiedImageError as error:
            raise UnreadableError(refusal(self.data)) from error
        except Exception as error:
            raise UnreadableError(_words(error)) from error

    @classmethod
    def read(cls, path: str | Path, mode: str | None = None, rotate: bool = False) -> "Encoded":
        """A file of this machine; where it cannot be read, that is the image's `fault`."""
        data, fault = b"", ""
        try:
            data = read_regular(path)
        except OSError as error:
            fault = describe(error)
        absolute = os.path.abspath(path)  # noqa: PTH100 (Path.absolute takes as long as reading the file)
        return cls(data, mode, rotate, path=absolute, fault=fault)


@contextmanager
def _decoding() -> Iterator[None]:
    """Turns whatever a decoder raises into an `UnreadableError`."""
    try:
        yield
    except Exception as error:
        raise UnreadableError(_words(error)) from error


def max_pixels() -> int:
    """Pixels of the largest image that is decoded.

    Raises:
        ConfigError: the environment variable is no number.
    """
    chosen = os.environ.get("UNPOISON_MAX_PIXELS")
    if chosen is None:
        return MAX_PIXELS
    if not chosen.isascii() or not chosen.isdigit():
        raise ConfigError(
            f"UNPOISON_MAX_PIXELS is {chosen!r}: set it to the pixels of the largest image, as in 200000000"
        )
    return int(chosen)


def check_pixels(image: Image.Image) -> None:
    """Looks at the size that a file's header says, before anything is decoded.

    Raises:
        UnreadableError: there are too many pixels.
    """
    _check_size(image.size)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A tile may be larger than the image.
        width, length = (image.tag_v2.get(tag) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
        if isinstance(width, int) and isinstance(length, int):
            _check_size((width, length))


def _check_size(size: tuple[int, int]) -> None:
    limit = max_pixels()
    if size[0] * size[1] > limit:
        raise UnreadableError(
            f"it has {size[0]} x {size[1]} pixels, more than {limit}, which UNPOISON_MAX_PIXELS can change"
        )


def file_of(image: Any) -> str:
    """The path of an image's file, only a name where it has none of its own; "" where it is not known."""
    if isinstance(image, Encoded):
        return image.path
    # Images that PIL opened know their file until they are converted.
    name = getattr(image, "filename", "") if isinstance(image, Image.Image) else ""
    return str(Path(name).absolute()) if isinstance(name, str) and name else ""


def describe(error: OSError) -> str:
    """Why a file cannot be read, without its name."""
    if isinstance(error, FileNotFoundError) and Path(str(error.filename)).is_symlink():
        return "the link leads to no file"
    return error.strerror or _words(error)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


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
        image = _to_pil(self.colour)
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        buffer = io.BytesIO()
        image.save(buffer, "png", compress_level=1)
        return buffer.getvalue()


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
    height, width = _planes(image)[0].shape[:2]
    return height, width


def colour_channels(image: Any) -> int:
    """1 for grey images, with or without alpha, else 3."""
    if isinstance(image, Encoded | Image.Image):
        if image.mode not in (*_GREY_MODES, *_COLOUR_MODES):
            raise DatasetError(f"images of mode {image.mode!r} are not supported: {_FIX}")
        return 1 if image.mode in _GREY_MODES else 3
    return 1 if _planes(image)[0].shape[2] < 3 else 3


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
    if isinstance(image, Encoded | Image.Image) and image.mode not in _NUMERIC_MODES:
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
    if isinstance(image, Image.Image) and image.mode not in _NUMERIC_MODES:
        grey = colour_channels(image) == 1
        if image.mode in ("LA", "RGBA") or (image.mode == "P" and "transparency" in image.info):
            rgba = image.convert("RGBA")
            alpha = np.array(rgba.getchannel("A"))
            image = rgba if image.mode == "P" else image
        colour = np.array(image.convert("L"))[..., None] if grey else np.array(image.convert("RGB"))
    else:
        array, _ = _planes(image)
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
    if isinstance(like, Image.Image) and like.mode not in _NUMERIC_MODES:
        return _restore_mode(_to_pil(colour), like)
    array, layout = _planes(like)
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


def decode_png(data: bytes) -> Pixels:
    """The colour channels uint8 [H,W,C] of a PNG that `EightBit.png` made."""
    return to_eight_bit(Encoded(data), Levels()).colour


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


def _planes(image: Any) -> tuple[npt.NDArray[Any], str]:
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


def with_channels(colour: Pixels, channels: int | None) -> Pixels:
    """uint8 [H,W,C] with 1 (grey) or 3 (RGB) channels; as it is when None."""
    if channels is None or channels == colour.shape[2]:
        return colour
    if channels == 3:
        return np.repeat(colour, 3, axis=2)
    return np.array(Image.fromarray(colour).convert("L"))[..., None]


def _to_pil(colour: Pixels) -> Image.Image:
    return Image.fromarray(colour[..., 0] if colour.shape[2] == 1 else colour)


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
