"""The same files in another dataset: what was computed is shared, what is served is that dataset's own."""

import os
import shutil
import time
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import ConcatDataset
from torchvision.datasets import ImageFolder

import corner
import twostep
import unpoison
from unpoison import SanitizedDataset, Sanitizer
from unpoison.data.items import same_parts
from unpoison.errors import ConfigError, DatasetError

pytestmark = [
    pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning"),
    # datasets leaves some of its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


ONCE = ["find", "finish"]


@pytest.fixture
def photos(tmp_path):
    corner.image_folder(*corner.make_images(), tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def detected():
    """The steps of the method that ran."""
    twostep.CALLS.clear()
    return twostep.CALLS


def table_of(photos, image="image", label="label", names=("class0", "class1", "class2"), **options):
    folder = ImageFolder(photos)
    features = datasets.Features({image: datasets.Image(**options), label: datasets.ClassLabel(names=list(names))})
    columns = {image: [path for path, _ in folder.samples], label: folder.targets}
    return datasets.Dataset.from_dict(columns, features=features)


def turn(photos):
    """All files become JPEGs of 32 x 40 pixels that are to be shown upright, which are 40 x 32 as they are stored."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in photos.rglob("*.png"):
        Image.open(path).resize((40, 32)).save(path.with_suffix(".jpg"), exif=exif)
        path.unlink()


def test_a_folder_then_a_table(photos, detected):
    SanitizedDataset(ImageFolder(photos), "twostep").prepare()
    cleaned = unpoison.sanitize(table_of(photos), "twostep")
    assert len(cleaned) == 23
    assert detected == ONCE


@pytest.mark.parametrize("names", [{"image": "picture"}, {"label": "kind"}])
def test_a_renamed_column(names, photos, detected):
    unpoison.sanitize(table_of(photos), "twostep")
    cleaned = unpoison.sanitize(table_of(photos, **names), "twostep")
    assert set(names.values()) < set(cleaned.column_names)
    assert len(cleaned) == 23
    assert detected == ONCE


def test_a_sanitizer_that_saw_other_columns(photos):
    sanitizer = Sanitizer("twostep")
    sanitizer.fit(table_of(photos))
    for names in ({"image": "picture"}, {"label": "kind"}):
        with pytest.raises(DatasetError, match="call fit on it"):
            table_of(photos, **names).map(sanitizer, batched=True, with_indices=True)


def test_a_renamed_class(photos, detected):
    first = SanitizedDataset(table_of(photos), "twostep").prepare()
    renamed = SanitizedDataset(table_of(photos, names=("a", "b", "c")), "twostep").prepare()
    for served, names in ((first, ["class0", "class1", "class2"]), (renamed, ["a", "b", "c"])):
        assert served.classes == served.report.class_names == names
        assert SanitizedDataset.from_shards(served.shards[0].parent).classes == names
    assert detected == ONCE


def test_a_renamed_text_label(images_and_labels, detected):
    images, labels = images_and_labels
    for names in ("abc", "xyz"):
        served = SanitizedDataset([(i, names[y]) for i, y in zip(images, labels, strict=True)], "twostep")
        assert set(served.targets) == set(names)
    assert detected == ONCE


def test_turned_files(photos):
    turn(photos)
    lying = SanitizedDataset(ImageFolder(photos), "twostep").prepare()
    upright = SanitizedDataset(table_of(photos), "twostep").prepare()
    assert lying.report.content != upright.report.content
    for served, size, key in ((lying, (40, 32), 0), (upright, (32, 40), "image")):
        assert {item[key].size for item in served} == {size}
        assert {image.size for image, _ in SanitizedDataset.from_shards(served.shards[0].parent)} == {size}
    for position, source in enumerate(upright.source_index.tolist()):
        assert same_parts(upright[position]["image"], table_of(photos)[source]["image"])


def test_decoded_otherwise(photos, detected):
    grey = SanitizedDataset(table_of(photos, mode="L"), "twostep").prepare()
    colour = SanitizedDataset(table_of(photos, mode="RGB"), "twostep").prepare()
    assert {item["image"].mode for item in grey} == {"L"}
    assert {item["image"].mode for item in colour} == {"RGB"}
    assert detected == ONCE * 2


def test_two_files_with_one_path(photos):
    folder = ImageFolder(photos)
    twice = SanitizedDataset(ConcatDataset([folder, folder]), "twostep", on_poison="keep")
    assert all(same_parts(twice[n], twice[n + 24]) for n in range(24))
    assert twice.report.flagged.sum() == 6


def test_two_files_with_one_path_and_two_labels(photos):
    first, second = ImageFolder(photos), ImageFolder(photos)
    second.samples = [(path, (label + 1) % 3) for path, label in second.samples]
    for path in photos.rglob("*.png"):
        os.utime(path, (time.time() - 60,) * 2)
    for _ in range(2):  # the second time from the index
        both = SanitizedDataset(ConcatDataset([first, second]), "twostep", on_poison="keep")
        assert both.targets == [*first.targets, *((label + 1) % 3 for label in first.targets)]


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_a_file_that_vanishes_before_it_is_decoded(kind, photos, monkeypatch):
    from unpoison.data.store import ImageStore

    dataset = ImageFolder(photos) if kind == "folder" else table_of(photos)
    gone, build = Path(ImageFolder(photos).samples[7][0]), ImageStore.build

    def vanish(*arguments, **options):
        gone.unlink()
        return build(*arguments, **options)

    monkeypatch.setattr(ImageStore, "build", vanish)
    with pytest.raises(DatasetError, match=rf"item 7 \({gone}\) cannot be read \(.*\): repair or remove it") as caught:
        SanitizedDataset(dataset, "twostep").prepare()
    assert "\n" not in str(caught.value)


def test_only_changed_files_are_read(photos, monkeypatch):
    for path in photos.rglob("*.png"):
        os.utime(path, (time.time() - 60,) * 2)
    first = SanitizedDataset(ImageFolder(photos), "twostep").prepare()
    monkeypatch.setattr("unpoison.data.encoded.Encoded.read", None)
    monkeypatch.setattr("PIL.Image.open", None)
    again = SanitizedDataset(ImageFolder(photos), "twostep").prepare()
    assert again.shards == first.shards
    monkeypatch.undo()


@pytest.mark.parametrize("reread", ["changed", "all"])
def test_all_is_read_again_when_that_is_asked_for(reread, photos, cache, monkeypatch):
    monkeypatch.setenv("UNPOISON_CACHE", str(cache))
    path = Path(ImageFolder(photos).samples[4][0])
    for file in photos.rglob("*.png"):
        os.utime(file, (time.time() - 60,) * 2)
    first = SanitizedDataset(ImageFolder(photos), "twostep", reread=reread).prepare()
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-30] ^= 1  # as an attacker may: the size and the time stay
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = SanitizedDataset(ImageFolder(photos), "twostep", reread=reread)
    if reread == "changed":
        assert again.report.content == first.report.content
        # It is not served all the same.
        with pytest.raises(DatasetError, match="item 4 is not the one that was cleaned"):
            again[again.source_index.tolist().index(4)]
    else:
        with pytest.raises(DatasetError, match="item 4"):
            again.prepare()


def test_what_the_index_was_deceived_about_never_becomes_the_working_copy(photos, cache):
    path = photos / "class0" / "000.png"
    image = Image.open(path).convert("RGB")
    image.save(path, compress_level=0)  # of the same size whatever it shows
    for file in photos.rglob("*.png"):
        os.utime(file, (time.time() - 60,) * 2)
    folder = ImageFolder(photos)
    position = [name for name, _ in folder.samples].index(str(path))
    SanitizedDataset(folder, "twostep").prepare()
    for place in ("stores", "runs", "stages"):
        shutil.rmtree(cache / place)
    status = path.stat()
    image.putpixel((3, 3), (1, 2, 3))
    image.save(path, compress_level=0)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    with pytest.raises(DatasetError, match=rf'item {position} changed .*: run again, with reread="all"'):
        SanitizedDataset(folder, "twostep").prepare()
    assert not list(cache.glob("stores/*"))
    SanitizedDataset(folder, "twostep", reread="all").prepare()


def test_unknown_ways_of_reading_again(pairs):
    for make in (Sanitizer, lambda method, **options: SanitizedDataset(pairs, method, **options)):
        with pytest.raises(ConfigError, match="reread='always': should be 'changed' or 'all'"):
            make("twostep", reread="always")


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_plain_jpegs_are_served_to_the_pixel(quality, progressive, subsampling, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(9):
        size = (90 + number, 70)  # of several sizes, so that the working copy is none of them
        image = Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
        place = tmp_path / "photos" / str(number % 3) / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        image = image.convert("CMYK" if number == 5 else "L" if number == 7 else "RGB")
        exif = Image.Exif()
        exif[0x0112] = 3
        more = {"exif": exif} if number == 8 else {}
        image.save(place, quality=quality, progressive=progressive, subsampling=subsampling, **more)
    folder = ImageFolder(tmp_path / "photos")
    served = SanitizedDataset(folder, "twostep", on_poison="keep").prepare()
    direct = [served._cleaned.jpeg_size(n) is not None for n in range(9)]
    numbers = [int(Path(path).stem) for path, _ in folder.samples]
    assert {number for number, plain in zip(numbers, direct, strict=True) if not plain} == {5, 7, 8}
    for position, number in enumerate(numbers):
        assert (number == 8) == bool(served[position][0].getexif())
        assert type(served[position][0]) is type(folder[position][0])
        assert same_parts(served[position], folder[position])
