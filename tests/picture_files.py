"""Image files of every format that Pillow reads: those that it writes, and by hand those that it does not."""

import io
import struct

import numpy as np
from PIL import Image

Image.init()
_MODES = {"GIF": "P", "MSP": "1", "XBM": "1", "SPIDER": "F", "BLP": "P"}


def _cur(pixels):
    icon = io.BytesIO()
    Image.fromarray(pixels).save(icon, "ico", sizes=[pixels.shape[1::-1]], bitmap_format="bmp")
    data = bytearray(icon.getvalue())
    data[2:4] = struct.pack("<H", 2)
    return bytes(data)


def _dcx(pixels):
    page = io.BytesIO()
    Image.fromarray(pixels).save(page, "pcx")
    return struct.pack("<III", 0x3ADE68B1, 12, 0) + page.getvalue()


def _fits(pixels):
    grey = pixels[::-1, :, 0]
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2"]
    cards += [f"NAXIS{n}  = {size:20d}" for n, size in ((1, grey.shape[1]), (2, grey.shape[0]))]
    header = "".join(card.ljust(80) for card in [*cards, "END"]).ljust(2880)
    return header.encode() + grey.tobytes().ljust(2880, b"\0")


def _gbr(pixels):
    height, width = pixels.shape[:2]
    alpha = np.full((height, width, 1), 255, np.uint8)
    head = struct.pack(">IIIII4sI", 28 + 5, 2, width, height, 4, b"GIMP", 10) + b"name\0"
    return head + np.concatenate([pixels, alpha], 2).tobytes()


def _psd(pixels):
    height, width = pixels.shape[:2]
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, height, width, 8, 3) + struct.pack(">III", 0, 0, 0)
    return head + struct.pack(">H", 0) + pixels.transpose(2, 0, 1).tobytes()


def _sun(pixels):
    height, width = pixels.shape[:2]
    head = struct.pack(">8I", 0x59A66A95, width, height, 24, pixels.size, 3, 0, 0)
    return head + pixels.tobytes()


def _xpm(pixels):
    height, width = pixels.shape[:2]
    colours, places = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    lines = [f"{width} {height} {len(colours)} 2"]
    lines += [f"{number:02x} c #{bytes(colour).hex()}" for number, colour in enumerate(colours)]
    lines += ["".join(f"{place:02x}" for place in row) for row in places.reshape(height, width)]
    body = ",\n".join(f'"{line}"' for line in lines)
    return f"/* XPM */\nstatic char *picture[] = {{\n{body}\n}};\n".encode()


def _xv(pixels):
    height, width = pixels.shape[:2]
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    packed = (red >> 5 << 5 | green >> 5 << 2 | blue >> 6).astype(np.uint8)
    return b"P7 332\n#END_OF_COMMENTS\n%d %d 255\n" % (width, height) + packed.tobytes()


def _pixar(pixels):
    height, width = pixels.shape[:2]
    head = bytearray(1024)
    head[:4] = b"\200\350\000\000"
    head[416:420], head[424:428] = struct.pack("<HH", height, width), struct.pack("<HH", 14, 2)
    return bytes(head) + pixels.tobytes()


def _ftex(pixels):
    height, width = pixels.shape[:2]
    return b"FTEX" + struct.pack("<8i", 0, width, height, 1, 1, 1, 32, pixels.size) + pixels.tobytes()


def _imt(pixels):
    height, width = pixels.shape[:2]
    return b"width %d\nheight %d\npixel n8\n" % (width, height) + b"\x0c" + pixels[..., 0].tobytes()


def _fli(pixels):
    height, width = pixels.shape[:2]
    chunk = struct.pack("<IH", 6 + height * width, 16) + pixels[..., 0].tobytes()
    frame = struct.pack("<IHH8x", 16 + len(chunk), 0xF1FA, 1) + chunk
    return struct.pack("<IHHHHHH", 128 + len(frame), 0xAF12, 1, width, height, 8, 3).ljust(128, b"\0") + frame


def _pcd(pixels):
    """Of one size only."""
    luma = np.resize(pixels[..., 0], 768 * 512)
    head = bytes(2048) + b"PCD_".ljust(94 * 2048, b"\0") + bytes(2048)
    return head + luma.tobytes() + np.full(768 * 512 // 2, 128, np.uint8).tobytes()


def _mcidas(pixels):
    grey = pixels[..., 0]
    words = [0] * 64
    words[1], words[8], words[9], words[10], words[13], words[33] = 4, *grey.shape, 1, 1, 256
    return struct.pack("!64i", *words) + grey.tobytes()


_BY_HAND = {
    "CUR": _cur, "DCX": _dcx, "FITS": _fits, "GBR": _gbr, "PSD": _psd, "SUN": _sun, "XPM": _xpm, "XVTHUMB": _xv,
    "PIXAR": _pixar, "FTEX": _ftex, "IMT": _imt, "MCIDAS": _mcidas, "FLI": _fli, "PCD": _pcd,
}  # fmt: skip


def encode(pixels, form, **options):
    """The bytes of a file of a Pillow format with the pixels uint8 [H,W,3], as well as the format can hold them."""
    if form in _BY_HAND:
        return _BY_HAND[form](pixels)
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    if form == "ICO":
        options = {"sizes": [image.size], **options}
    if form in {"JPEG", "MPO", "WEBP", "AVIF"}:
        options = {"quality": 100, **options}
    if form == "MPO":
        # Of one image it would be a JPEG file.
        options = {"save_all": True, "append_images": [Image.new("RGB", image.size)], **options}
    image.convert(_MODES.get(form, "RGB"), palette=Image.Palette.ADAPTIVE).save(buffer, form, **options)
    return buffer.getvalue()
