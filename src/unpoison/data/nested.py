"""Image files within image files: icons and BLP hold a PNG or JPEG, whose own header says how large it is.

Pillow decodes them in place of what the outer header says, some as soon as the file is opened.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress

from PIL import IcnsImagePlugin, IcoImagePlugin, Image

_FORMATS = ("PNG", "DIB", "JPEG", "JPEG2000")
_ICO, _ICNS, _BLP = b"\0\0\1\0", b"icns", b"BLP1"


def nested_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Width and height of each image file that may be decoded in place of the one that holds it.

    Args:
        data: a file of any format.
    """
    # What is not as it should be, Pillow refuses itself.
    with suppress(Exception):
        for part in _nested(data):
            with suppress(Exception), Image.open(io.BytesIO(part), formats=_FORMATS) as image:
                # The rows of an icon's mask count as well.
                yield image.width, image.height // 2 if image.format == "DIB" else image.height


def _nested(data: bytes) -> Iterator[bytes]:
    if data.startswith(_ICO):
        yield data[IcoImagePlugin.IcoFile(io.BytesIO(data)).entry[0].offset :]
    elif data.startswith(_ICNS):
        icon = IcnsImagePlugin.IcnsFile(io.BytesIO(data))
        for name, _ in icon.SIZES[icon.bestsize()]:
            start, length = icon.dct.get(name, (0, 0))
            yield data[start : start + length]
    elif data.startswith(_BLP):
        # Offsets and lengths of 16 images, then what all of them begin with.
        (start,), (length,), (common,) = (struct.unpack_from("<I", data, place) for place in (28, 92, 156))
        yield data[160 : 160 + common] + data[start : start + length]
