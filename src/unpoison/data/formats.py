"""The image formats that Pillow reads, which of them are decoded here, and the names of their files."""

from collections import Counter
from collections.abc import Iterable
from functools import cache

from PIL import Image

_REFUSED = {
    "EPS": "a program draws it, which would be started",
    "WMF": "the system draws it, not Pillow",
    "IPTC": "it may hold a file of any other format",
    "MPEG": "it is a film",
    **dict.fromkeys(("BUFR", "GRIB", "HDF5"), "Pillow knows the format, but does not decode it"),
}
_REVIEWED = {
    "PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "ICO", "CUR", "ICNS", "PCX", "DCX",
    "DDS", "BLP", "FTEX", "FLI", "GBR", "MSP", "PIXAR", "PSD", "QOI", "SGI", "SUN", "XBM", "XPM", "XVTHUMB", "IM",
    "IMT", "MCIDAS", "PCD", "SPIDER", "TGA",
}  # fmt: skip
_USUAL = {
    "JPEG": "jpg", "MPO": "jpg", "TIFF": "tif", "JPEG2000": "jp2", "PIXAR": "pxr", "SUN": "ras", "FTEX": "ftu",
    "XVThumb": "xv",
}  # fmt: skip
_KNOWN_TO_READERS = {
    "bmp", "dib", "gif", "jpg", "ppm", "png", "blp", "cur", "pcx", "dcx", "dds", "fits", "fli", "ftu", "gbr", "jp2",
    "icns", "ico", "im", "tif", "msp", "pcd", "pxr", "psd", "sgi", "ras", "tga", "webp", "xbm", "xpm",
}  # fmt: skip
"""Of our extensions those that `webdataset` and `datasets` take for images; others they would hand out as bytes."""


@cache
def readable() -> tuple[str, ...]:
    """Names of the formats that are decoded, in the order in which Pillow itself tries them."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED)


@cache
def reviewed() -> tuple[str, ...]:
    """Those of them that are decoded where files come from strangers.

    What their decoders need is bounded by the size of the image, and none starts a program or opens a further file.
    FITS unpacks without a limit; others may be of plugins that we have not seen.
    """
    return tuple(name for name in readable() if name in _REVIEWED)


@cache
def file_suffixes() -> frozenset[str]:
    """Lower-case ends of the names of image files, with their dot. Those of EPS are among them: left out without a
    word, such files would be missed."""
    known = {*readable(), "MPO", "EPS"}
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in known)


def extension_of(name: str) -> str:
    """Usual file name extension of a Pillow format, without a dot."""
    return _USUAL.get(name, name.lower())


def is_reviewed(name: str) -> bool:
    """Whether files of a Pillow format are decoded that come from strangers."""
    return name == "MPO" or name.upper() in _REVIEWED


def member_extension(extensions: Iterable[str]) -> str:
    """Of the image members in shards, given those of the images: the most common one that other readers know.

    Readers look at the content, but only where the name says that it is an image: without such a one it is "png".
    """
    found = Counter(extension for extension in extensions if extension in _KNOWN_TO_READERS)
    return found.most_common(1)[0][0] if found else "png"


def refusal(data: bytes) -> str:
    """Why a file with this content is not decoded."""
    Image.init()
    for name, why in _REFUSED.items():
        accept = Image.OPEN[name][1] if name in Image.OPEN else None
        if accept is not None and accept(data[:16]):
            return f"{name} files are not decoded, {why}: convert it to PNG"
    return f"its content is no image of a known format, it begins with {data[:24]!r}"
