"""Poisoned datasets as files: names that file systems take, all or nothing."""

import io
import json

import datasets
import numpy as np
import pytest
from PIL import ExifTags, Image, JpegImagePlugin
from torchvision.datasets import ImageFolder

from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.attacks.folder import write_poisoned
from unpoison.errors import ConfigError, DatasetError


class Named:
    """20 images of each class."""

    def __init__(self, classes, mode="RGB"):
        self.classes, self.mode = classes, mode

    def __len__(self):
        return 20 * len(self.classes)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        image = Image.new("RGB", (9, 8), (index, 200, 90)).convert(self.mode)
        return image, index % len(self.classes)


def poisoned(*arguments):
    return PoisonedDataset(Named(*arguments), BadNets(), rate=0.1, target=0)


def test_awkward_names(tmp_path):
    names = ["../up", "a/b", "a\\b", "", "Crane", "crane", ".hidden", "poison.json", "nul\0", "ends."]
    data = poisoned(names)
    record = json.loads(write_poisoned(data, tmp_path / "out", {}).read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len({name.casefold() for name in record["classes"]}) == len(names)
    assert record["classes"][4:6] == ["Crane", "crane-5"]
    written = ImageFolder(tmp_path / "out")
    assert sorted(record["classes"]) == written.classes
    counts = np.bincount(written.targets)
    labels = np.bincount(data.targets)
    assert {name: counts[written.class_to_idx[name]] for name in record["classes"]} == dict(
        zip(record["classes"], labels, strict=True)
    )


def test_class_without_images(tmp_path):
    data = poisoned(["a", "b", "c"])
    data._label[data._label == 2] = 1
    record = json.loads(write_poisoned(data, tmp_path / "out", {}).read_text())
    assert record["classes"] == ["a", "b", None]
    assert ImageFolder(tmp_path / "out").classes == ["a", "b"]


def test_class_numbers_that_cannot_be_listed(tmp_path):
    data = poisoned(["a", "b"])
    data._label[data._label == 1] = 2**53
    with pytest.raises(DatasetError, match="class number 9007199254740992 is too large"):
        write_poisoned(data, tmp_path / "out", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["CMYK", "RGBA", "P", "I;16", "L"])
def test_modes_that_png_lacks(tmp_path, mode):
    write_poisoned(poisoned(["a", "b"], mode), tmp_path / "out", {})
    assert len(ImageFolder(tmp_path / "out")) == 40


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    write_poisoned(poisoned(["a", "b"]), tmp_path / "out", {})
    with pytest.raises(ConfigError, match="choose another one"):
        write_poisoned(poisoned(["a", "b"]), tmp_path / "out", {})


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    class Stage:
        def update(self, fraction):
            if fraction > 0.5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_poisoned(poisoned(["a", "b"]), tmp_path / "out", {}, Stage())
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        write_poisoned(poisoned(["a", "b"]), tmp_path / "file" / "out", {})


def photograph(number, mode, **options):
    """The bytes of a JPEG file of 30 x 40 to 49 pixels."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    small = Image.fromarray(np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8))
    buffer = io.BytesIO()
    image = small.resize((40 + number % 10, 30), Image.Resampling.BICUBIC).convert(mode)
    image.save(buffer, "jpeg", **{"exif": exif, **options})
    return buffer.getvalue()


def image_folder(folder, files):
    """Of contents of JPEG files, and a PNG file in each of two classes."""
    for place in "ab":
        (folder / place).mkdir(parents=True)
        Image.new("RGB", (40, 30)).save(folder / place / "0.png")
    for number, data in enumerate(files):
        (folder / "ab"[number % 2] / f"{number + 1}.jpeg").write_bytes(data)
    return ImageFolder(folder)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"quality": 60}),
        ("RGB", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("L", {"quality": 80}),
        ("CMYK", {"quality": 90}),
    ],
)
def test_jpeg_files_stay_what_they_are(tmp_path, mode, options):
    source = image_folder(tmp_path / "in", [photograph(number, mode, **options) for number in range(40)])
    data = PoisonedDataset(source, BadNets(size=0.3), rate=0.2, target=0)
    record = json.loads(write_poisoned(data, tmp_path / "out", {}, keep_jpeg=True).read_text())
    assert len(record["poisoned"]) == 8
    for position, (path, label) in enumerate(source.samples):
        (written,) = (tmp_path / "out").glob(f"*/{position:02}.*")
        assert written.suffix == (".png" if path.endswith("png") else ".jpg")
        assert (written.parent.name != "ab"[label]) == (f"{written.parent.name}/{written.name}" in record["poisoned"])
        if written.suffix == ".png":
            continue
        if not data.poisoned[position]:
            assert written.read_bytes() == (tmp_path / "in" / path).read_bytes()
            continue
        with Image.open(path) as before, Image.open(written) as after:
            assert (after.format, after.mode, after.size) == ("JPEG", before.mode, before.size)
            assert after.quantization == before.quantization
            assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before)
            assert after.getexif()[ExifTags.Base.Make] == "a camera"
            assert after.info.get("progressive") == before.info.get("progressive")
            assert np.asarray(after.convert("RGB"))[-7:, -7:].min() > 200


def test_jpeg_files_that_are_turned_become_png(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    rows = [{"bytes": photograph(number, "RGB", exif=exif), "path": None} for number in range(20)]
    table = datasets.Dataset.from_dict({"image": rows, "label": [0, 1] * 10}).cast_column("image", datasets.Image())
    data = PoisonedDataset(table, BadNets(size=0.3), rate=0.2, target=0)
    write_poisoned(data, tmp_path / "out", {}, keep_jpeg=True)
    written = ImageFolder(tmp_path / "out")
    assert {path[-4:] for path, _ in written.samples} == {".png"}
    assert all(image.height > image.width for image, _ in written)
