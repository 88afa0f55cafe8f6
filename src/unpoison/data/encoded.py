"""Image files as they are, decoded on demand."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import UnreadableError
from .files import read_regular
from .formats import extension_of, is_reviewed, readable, refusal
from .nested import nested_sizes
from .pixels import Pixels, to_pil
from .size_limit import check_pixels, check_size

_DULL = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "gamma", "srgb", "progressive", "progression"}
"""Facts of a file that no transform looks at, unlike its orientation, transparency or colour profile."""
_MAY_TURN = (b"Exif", b"EXIF", b"eXIf", b"exif", b"rientation", b"adobe.xmp")
"""One of these is in every file that says how its image is turned, but for TIFF, which has a field of its own."""
_LYING = (5, 6, 7, 8)
"""Orientations that swap height and width."""
_TIFF = (b"II*\0", b"MM\0*")
_JPEG, _SCAN = b"\xff\xd8", 0xDA
_SEGMENTS = (0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE)
"""Markers of JPEG files that usually come before the first scan, each with a length."""


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
        if not self.rotate:
            return False
        head = _before_scan(self.data)
        return head.startswith(_TIFF) or any(mark in head for mark in _MAY_TURN)

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

    def decode(self, least_side: int | None = None) -> Image.Image:
        """The image; of several in one file, the first.

        Args:
            least_side: decodes at 1/8, 1/4 or 1/2 of the size, where the format can (JPEG) and neither side falls below
                so many pixels; at full size when None.

        Raises:
            UnreadableError: the file is missing, damaged, too large or of a format that is not decoded.
        """
        # Without a mode to convert to, the image is to be one that knows its file.
        if self.pixels is not None and self._mode is not None:
            return to_pil(self.pixels)
        if self.jpeg_size is not None:
            # A third less time than with the header, which is read in Python, and a copy for the conversion.
            return Image.frombytes("RGB", self.jpeg_size[::-1], self.data, "jpeg", "RGB", "")
        image = self._open()
        with _decoding():
            drafted = None if least_side is None else image.draft(None, (least_side, least_side))
            image.load()
            if drafted is not None and drafted[1][2:] != image.size:
                # Its last pixels reach beyond the image, by a part that everything else would be shifted by.
                image = image.resize(image.size, Image.Resampling.BICUBIC, drafted[1])
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
                check_size(size)
            image = Image.open(io.BytesIO(self.data), formats=readable() if self._formats is None else self._formats)
            check_pixels(image)
            return image
        except UnreadableError:
            raise
        except UnidentifiedImageError as error:
            raise UnreadableError(refusal(self.data)) from error
        except Image.DecompressionBombError as error:
            limits = "PIL.Image.MAX_IMAGE_PIXELS and UNPOISON_MAX_PIXELS"
            raise UnreadableError(f"{_words(error).partition(',')[0]}, which {limits} can change") from error
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


def _before_scan(data: bytes) -> bytes:
    """What comes before the pixels of a JPEG file, which is all that Pillow looks for facts in; else the whole file.

    To search megabytes of pixels takes as long as to decode a photograph at 1/8 of its size.
    """
    place = len(_JPEG)
    while data.startswith(_JPEG) and data[place : place + 1] == b"\xff" and len(data) > place + 3:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == _SCAN:
            return data[:place]
        if marker not in _SEGMENTS or length < 2:
            break
        place += 2 + length
    return data


@contextmanager
def _decoding() -> Iterator[None]:
    """Turns whatever a decoder raises into an `UnreadableError`."""
    try:
        yield
    except Exception as error:
        raise UnreadableError(_words(error)) from error


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
