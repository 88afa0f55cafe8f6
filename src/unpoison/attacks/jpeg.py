"""JPEG files that cannot be told from others of the same set by how they are encoded."""

import io

from PIL import Image, JpegImagePlugin

from ..data.pixels import Pixels, to_pil

_KEPT = ("exif", "icc_profile", "xmp", "comment", "dpi", "progressive")


def as_jpeg(colour: Pixels, original: bytes) -> bytes:
    """Encodes pixels like a JPEG file: in its mode, with its quantisation tables, colour sampling and metadata.

    Args:
        colour: uint8 [H,W,C].
        original: the file's content.
    """
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(original), formats=("JPEG",)) as file:
        assert isinstance(file, JpegImagePlugin.JpegImageFile)
        to_pil(colour).convert(file.mode).save(
            buffer,
            "jpeg",
            qtables=file.quantization,
            subsampling=JpegImagePlugin.get_sampling(file),
            **{name: file.info[name] for name in _KEPT if name in file.info},
        )
    return buffer.getvalue()
