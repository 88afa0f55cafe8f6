"""Image files of every format that the installed Pillow reads."""

import io
import json
import struct
import tarfile
import zlib
from pathlib import Path

import datasets
import numpy as np
import pytest
import webdataset
from datasets.packaged_modules.webdataset.webdataset import IMAGE_EXTENSIONS
from PIL import Image
from torchvision.datasets import ImageFolder

import corner
import picture_files
import unpoison
from unpoison import SanitizedDataset, Sanitizer
from unpoison.data import formats
from unpoison.data.encoded import Encoded
from unpoison.errors import UnreadableError

pytestmark = [
    pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning"),
    pytest.mark.filterwarnings("ignore:.* image format is deprecated:DeprecationWarning"),
    # The readers leave the closing of their files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
FORMATS = (*formats.readable(), "MPO")
HUGE = ("ICNS", "PCD")
"""Whose files have one size."""
MIXED = tuple(form for form in FORMATS if form not in HUGE)


@pytest.fixture(scope="module")
def pixels():
    images, _ = corner.make_images(len(MIXED), size=16)
    images[list(corner.POISONED), -1, -1] = 0
    return images


def as_pillow(data):
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def image_folder(files, folder):
    """Files (extension, content) in two classes, all with names that torchvision takes."""
    for number, (extension, data) in enumerate(files):
        path = folder / "ab"[number % 2] / f"{number:02}.{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return ImageFolder(folder, is_valid_file=lambda _: True)


@pytest.mark.parametrize("form", FORMATS)
def test_first_frame_as_pillow_gives_it(form, pixels):
    data = picture_files.encode(pixels[0], form)
    assert Image.open(io.BytesIO(data)).format.upper() == form
    image = Encoded(data, "RGB")
    np.testing.assert_array_equal(np.array(image.decode()), as_pillow(data))
    assert image.size == as_pillow(data).shape[:2]
    assert image.is_portable == (form != "FITS")


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG", "AVIF"])
def test_first_of_several_frames(form, pixels):
    more = [Image.fromarray(image) for image in pixels[1:3]]
    options = {} if form in ("TIFF", "GIF", "PNG") else {"quality": 90}
    buffer = io.BytesIO()
    Image.fromarray(pixels[0]).save(buffer, form, save_all=True, append_images=more, **options)
    assert Image.open(buffer).n_frames == 3
    np.testing.assert_array_equal(np.array(Encoded(buffer.getvalue(), "RGB").decode()), as_pillow(buffer.getvalue()))


def test_every_registered_format_is_read_or_refused():
    assert set(formats.readable()) | set(formats._REFUSED) == set(Image.OPEN)
    assert set(formats.readable()) - set(formats.reviewed()) == {"FITS"}


def test_a_format_that_this_pillow_lacks(monkeypatch):
    """Naming one to Pillow stops it at every file."""
    monkeypatch.delitem(Image.OPEN, "AVIF")
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "AVIF"])
    for chosen in (formats.readable, formats.reviewed):
        chosen.cache_clear()
    try:
        assert Encoded(picture_files.encode(np.zeros((8, 8, 3), np.uint8), "WEBP")).size == (8, 8)
        with pytest.raises(UnreadableError, match="no image of a known format"):
            Encoded(b"nothing", formats=formats.reviewed()).decode()
    finally:
        for chosen in (formats.readable, formats.reviewed):
            chosen.cache_clear()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS files are not decoded, a program draws it"),
        (b"\x89HDF\r\n\x1a\n", "HDF5 files are not decoded, Pillow knows the format"),
        (b"<!DOCTYPE html><html>", "no image of a known format, it begins with b'<!DOCTYPE html><html>'"),
        (b"", "the file is empty"),
    ],
)
def test_what_is_refused(data, why):
    for image in (Encoded(data), Encoded(data, formats=formats.reviewed())):
        with pytest.raises(UnreadableError, match=why):
            image.decode()


def test_strangers_may_not_use_every_decoder(pixels):
    with pytest.raises(UnreadableError, match="no image of a known format"):
        Encoded(picture_files.encode(pixels[0], "FITS"), formats=formats.reviewed()).decode()


def test_names_that_other_readers_know():
    ours = {formats.extension_of(name) for name in (*formats.readable(), "MPO", "XVThumb")}
    assert set(formats._KNOWN_TO_READERS) == ours & set(IMAGE_EXTENSIONS) & set(webdataset.autodecode.IMAGE_EXTENSIONS)


def members(paths):
    found = {}
    for path in paths:
        with tarfile.open(path) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}
    return found


def check_everywhere(dataset, folder, extension):
    """Wrapper, export, from_shards, webdataset and datasets agree; kept files keep their bytes."""
    served = SanitizedDataset(dataset, "corner", on_poison="keep").prepare()
    assert (served.report.action == "keep").all()
    Sanitizer("corner", on_poison="keep").export(dataset, folder)
    paths = [str(path) for path in sorted(folder.glob("shard-*.tar"))]
    parts, again = members(paths), SanitizedDataset.from_shards(folder)
    rows = list(webdataset.WebDataset(paths, shardshuffle=False, empty_check=False).decode("pilrgb"))
    table = datasets.load_dataset(
        "webdataset", data_files={"train": paths}, split="train", cache_dir=str(folder.parent / "hf")
    )
    assert len(again) == len(rows) == len(table) == len(dataset)
    for position, (path, label) in enumerate(dataset.samples):
        data, want = Path(path).read_bytes(), np.array(dataset[position][0])
        stored, facts = parts[f"{position:08}.{extension}"], json.loads(parts[f"{position:08}.json"])
        portable = Encoded(data).is_portable
        assert (stored == data) == portable
        assert facts["encoding"] == (Encoded(data).extension if portable else "png")
        for image in (served[position][0], again[position][0], rows[position][extension], table[position][extension]):
            np.testing.assert_array_equal(np.array(image.convert("RGB")), want)
        assert served[position][1] == again[position][1] == rows[position]["cls"] == table[position]["cls"] == label


def test_a_set_of_every_format(pixels, tmp_path):
    files = [("png", picture_files.encode(image, form)) for image, form in zip(pixels, MIXED, strict=True)]
    files += [("png", picture_files.encode(image, "WEBP")) for image in pixels[:3]]
    check_everywhere(image_folder(files, tmp_path / "data"), tmp_path / "out", "webp")


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "MPO", "JPEG2000"])
def test_a_set_of_one_format(form, pixels, tmp_path):
    files = [("img", picture_files.encode(image, form)) for image in pixels[:6]]
    extension = formats.member_extension([Encoded(files[0][1]).extension])
    check_everywhere(image_folder(files, tmp_path / "data"), tmp_path / "out", extension)


def test_one_file_of_another_format_among_many(pixels, tmp_path):
    """Wherever it lies: not among those that are looked at first."""
    files = [("png", picture_files.encode(pixels[n % 9] + np.uint8(n // 9), "PNG")) for n in range(60)]
    files[31] = ("webp", picture_files.encode(pixels[1], "WEBP"))
    dataset = image_folder(files, tmp_path / "data")
    served = SanitizedDataset(dataset, "corner")
    for position in range(60):
        np.testing.assert_array_equal(np.array(served[position][0]), np.array(dataset[position][0]))


def table_of(files):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = [{"bytes": data, "path": None} for _, data in files]
    return datasets.Dataset.from_dict({"image": rows, "label": [n % 2 for n in range(len(files))]}, features=features)


def test_rows_and_streams_of_every_format(pixels):
    files = [("", picture_files.encode(image, form)) for image, form in zip(pixels, MIXED, strict=True)]
    table = table_of(files)
    for source in (table, table.to_iterable_dataset()):
        cleaned = unpoison.sanitize(source, "corner", on_poison="keep").cast_column(
            "image", datasets.Image(decode=False)
        )
        assert [row["image"]["bytes"] for row in cleaned] == [data for _, data in files]


def test_sixteen_bits_and_palettes_as_before(tmp_path):
    """Modes are the file's own where none is asked for."""
    for mode in ("I;16", "P", "LA", "RGBA", "L", "1", "CMYK"):
        buffer = io.BytesIO()
        Image.new(mode, (8, 8)).save(buffer, "tiff")
        assert Encoded(buffer.getvalue()).decode().mode == mode


def test_facts_behind_damaged_pixels(pixels):
    """How a PNG is turned may be said at its end: then it is decoded when it is only asked for its size."""
    data = picture_files.encode(pixels[0], "PNG")
    place = data.index(b"IDAT") + 4
    data = data[:place] + b"rientation" + data[place + 10 :]
    for ask in (lambda image: image.size, lambda image: image.extension, Encoded.decode):
        with pytest.raises(UnreadableError, match="broken data stream"):
            ask(Encoded(data, rotate=True))


# Files in files.


def icon(pixels, inner):
    """An ICO file that says that its image has other sides than the PNG in it."""
    data = picture_files.encode(pixels, "ICO")
    (start,) = struct.unpack_from("<I", data, 18)
    return data[:start] + inner


def icns(pixels, inner):
    return b"icns" + struct.pack(">I", 16 + len(inner)) + b"icp4" + struct.pack(">I", 8 + len(inner)) + inner


def blp(pixels, inner):
    """A BLP file whose pixels are a JPEG."""
    height, width = pixels.shape[:2]
    begin = b"BLP1" + struct.pack("<6I", 0, 0, width, height, 5, 0)
    return begin + struct.pack("<33I", 160, *[0] * 15, len(inner), *[0] * 15, 0) + inner


@pytest.mark.parametrize(("outer", "form"), [(icon, "PNG"), (icns, "PNG"), (icns, "JPEG2000"), (blp, "JPEG")])
def test_pixels_of_files_in_files_are_counted(pixels, monkeypatch, outer, form):
    monkeypatch.setenv("UNPOISON_MAX_PIXELS", "1000")
    small, large = pixels[0], np.resize(pixels[0], (40, 40, 3))
    assert Encoded(outer(small, picture_files.encode(small, form))).decode().size == (16, 16)
    with pytest.raises(UnreadableError, match="it has 40 x 40 pixels, more than 1000"):
        Encoded(outer(small, picture_files.encode(large, form))).decode()


def tiled(side, tile):
    """A grey TIFF file of one compressed tile, which may be larger than the image."""
    content = zlib.compress(bytes(tile * tile))
    tags = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile, 323: tile, 324: 8, 325: len(content)}
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return (
        struct.pack("<2sHI", b"II", 42, 8 + len(content)) + content + struct.pack("<H", len(tags)) + fields + bytes(4)
    )


def test_pixels_of_tiles_are_counted(monkeypatch):
    monkeypatch.setenv("UNPOISON_MAX_PIXELS", "1000")
    assert Encoded(tiled(16, 16)).decode().size == (16, 16)
    with pytest.raises(UnreadableError, match="it has 48 x 48 pixels, more than 1000"):
        Encoded(tiled(16, 48)).decode()
