"""`unpoison clean`: every kind of source, and its mistakes."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import corner
import picture_files
from unpoison import Report
from unpoison.cli import main
from unpoison.data import formats

COUNT = 1200


@pytest.fixture
def clean_fast(command):
    def call(source, out, *arguments):
        return command("clean", source, out, "--preset", "fast", "--device", "cpu", *arguments)

    return call


def members(out):
    names = []
    for path in sorted(out.glob("shard-*.tar")):
        with tarfile.open(path) as tar:
            names += tar.getnames()
    return names


def check(facts, out, count=COUNT):
    """What the command says is what lies in the folder."""
    report = Report.load(out)
    assert facts["out"] == str(out)
    assert facts["samples"] == len(report) == count
    assert facts["flagged"] == report.flagged.sum()
    assert facts["keep"] + facts["restore"] + facts["drop"] == count
    assert facts["poisoned_classes"] == [entry.label for entry in report.classes if entry.poisoned]
    assert sum(name.endswith(".cls") for name in members(out)) == count - facts["drop"]


def test_a_folder_of_images(folder, clean_fast, tmp_path):
    facts, errors = clean_fast(folder, tmp_path / "out")
    check(facts, tmp_path / "out")
    assert facts["poisoned_classes"] == [0]
    assert 45 <= facts["flagged"] <= 75
    # stderr is no terminal here.
    assert errors == ""


def test_a_parquet_file(poisoned, clean_fast, tmp_path):
    import datasets

    images = [Image.fromarray(image[..., 0]) for image, _ in poisoned]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)})
    table = datasets.Dataset.from_dict({"image": images, "label": poisoned.targets}, features=features)
    table.to_parquet(tmp_path / "train.parquet")
    facts, _ = clean_fast(tmp_path / "train.parquet", tmp_path / "out", "--on-poison", "drop", "--quiet")
    check(facts, tmp_path / "out")
    assert facts["drop"] == facts["flagged"] > 0
    flagged = Report.load(tmp_path / "out").flagged
    assert flagged[poisoned.poisoned].mean() > 0.7


@pytest.fixture
def small(images_and_labels, tmp_path):
    """24 images, for the method that takes no time."""
    return str(corner.image_folder(*images_and_labels, tmp_path / "small").root)


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_shards(small, command, tmp_path):
    """The output of one run is a source of the next."""
    options = ["--method", "corner", "--on-poison", "keep", "--quiet"]
    command("clean", small, tmp_path / "first", *options)
    facts, _ = command("clean", tmp_path / "first" / "shard-00000.tar", tmp_path / "second", *options)
    check(facts, tmp_path / "second", 24)
    first, second = (Report.load(tmp_path / name) for name in ("first", "second"))
    np.testing.assert_array_equal(first.original_label, second.original_label)


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_text(small, tmp_path, capfd):
    assert main(["clean", small, str(tmp_path / "out"), "--method", "corner"]) == 0
    printed, errors = capfd.readouterr()
    assert errors == ""
    assert "of 24 samples flagged" in printed
    assert f"shards and report: {tmp_path / 'out'}" in printed
    assert f"report to look at: {tmp_path / 'out' / 'report.html'}" in printed


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_a_limit_on_what_is_altered(small, tmp_path, command):
    facts, _ = command("clean", small, tmp_path / "out", "--method", "corner", "--max-altered", "0.2")
    assert (facts["flagged"], facts["keep"]) == (0, 24)
    assert (facts["poisoned_classes"], facts["classes_to_look_at"], facts["classes_not_assessable"]) == ([], [0], [])


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_copies_can_be_dropped(small, tmp_path, command):
    first = sorted(Path(small).glob("*/*.png"))[0]
    first.with_name("zzz.png").write_bytes(first.read_bytes())
    facts, _ = command("clean", small, tmp_path / "kept", "--method", "corner")
    assert (facts["samples"], facts["duplicates"], facts["drop"]) == (25, 2, 1)
    facts, _ = command("clean", small, tmp_path / "dropped", "--method", "corner", "--duplicates", "drop")
    assert (facts["samples"], facts["duplicates"], facts["drop"]) == (25, 2, 2)


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_names_the_page(small, tmp_path, command):
    page = Path(command("clean", small, tmp_path / "out", "--method", "corner")[0]["html"])
    assert "24 images" in page.read_text()


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_verbose_tells_what_is_decided_on_stderr(small, tmp_path, capfd):
    arguments = ["clean", small, str(tmp_path / "out"), "--method", "corner", "--json"]
    assert main([*arguments, "-v"]) == 0
    first = capfd.readouterr()
    assert main([*arguments, "-vv"]) == 0
    second = capfd.readouterr()
    assert first.out == second.out
    assert "unpoison.working_copy: 24 images of 3 classes, 8x8" in first.err
    assert "unpoison.publishing: 3 of 24 flagged" in first.err
    assert "the result lies in" in first.err
    assert "this was cleaned before" not in first.err
    assert "this was cleaned before" in second.err
    assert "unpoison.progress: read:" in second.err
    assert "unpoison.progress" not in first.err
    # The next command is silent again.
    assert main(arguments) == 0
    assert capfd.readouterr().err == ""


def test_unknown_source(refused, tmp_path):
    assert "neither a path nor a torchvision dataset" in refused(1, "clean", tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folder_without_classes(refused, tmp_path):
    (tmp_path / "photos").mkdir()
    assert "into a sub-folder" in refused(1, "clean", tmp_path / "photos", tmp_path / "out")


@pytest.mark.parametrize("name", ["broken.parquet", "broken.tar"])
def test_damaged_file(tmp_path, capfd, name):
    (tmp_path / name).write_bytes(b"this is no such file" * 100)
    assert main(["clean", str(tmp_path / name), str(tmp_path / "out"), "--quiet"]) == 1
    # The reader may log a line of its own before.
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("unpoison: ")
    assert name in last


def test_missing_torchvision_dataset(refused, tmp_path):
    assert "CIFAR10" in refused(1, "clean", "CIFAR10", tmp_path / "out", "--root", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "slow"], "unknown preset 'slow': choose one of default, paper, fast"),
        (["--method", "magic"], "unknown method 'magic': choose one of"),
        (["--device", "gpu9"], "device 'gpu9' cannot be used"),
        (["--max-altered", "nan"], "max_altered=nan: should be a finite number"),
    ],
)
def test_wrong_settings(refused, tmp_path, arguments, message):
    # They are noticed before the data are read.
    assert message in refused(2, "clean", tmp_path / "nowhere", tmp_path / "out", *arguments)


@pytest.mark.filterwarnings(
    "ignore::unpoison.errors.ThinEvidenceWarning", "ignore:.* image format is deprecated:DeprecationWarning"
)
def test_files_of_every_format(images_and_labels, tmp_path, command):
    suffixes = {formats.extension_of(name): name for name in formats.readable()}
    chosen = [
        suffix for suffix in suffixes if f".{suffix}" in formats.file_suffixes() and suffix not in ("icns", "pcd")
    ]
    image = images_and_labels[0][0]
    for number, suffix in enumerate(chosen):
        path = tmp_path / "data" / "ab"[number % 2] / f"{number:02}.{suffix.upper()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture_files.encode(image, suffixes[suffix]))
    (tmp_path / "data" / "a" / "notes.txt").write_text("no image")
    facts, _ = command("clean", tmp_path / "data", tmp_path / "out", "--method", "corner", "--on-poison", "keep")
    assert facts["samples"] == facts["keep"] == len(chosen) >= 25


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_drawings_are_refused_by_name(small, tmp_path, refused):
    Image.new("RGB", (8, 8)).save(Path(small) / "class1" / "drawing.eps")
    message = refused(1, "clean", small, tmp_path / "out", "--method", "corner", "--quiet")
    assert f"({small}/class1/drawing.eps) cannot be read (EPS files are not decoded" in message
    assert "convert it to PNG" in message


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_unreadable_files_can_be_skipped(small, tmp_path, command, refused, capfd):
    page = Path(small) / "class1" / "page.jpg"
    page.write_text("<!DOCTYPE html>")
    arguments = ["clean", small, tmp_path / "out", "--method", "corner", "--quiet"]
    assert f"({page}) cannot be read" in refused(1, *arguments)
    facts, _ = command(*arguments, "--on-unreadable", "skip")
    assert (facts["samples"], facts["unreadable"]) == (25, 1)
    assert main([*map(str, arguments), "--on-unreadable", "skip"]) == 0
    assert f"cannot be read: {page} (its content is no image" in capfd.readouterr().out


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
@pytest.mark.parametrize("suffix", ["avif", "webp", "qoi"])
def test_tars_of_formats_that_other_readers_do_not_know(images_and_labels, tmp_path, command, suffix):
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        for number, (image, label) in enumerate(zip(*images_and_labels, strict=True)):
            for kind, data in ((suffix, picture_files.encode(image, suffix.upper())), ("cls", b"%d" % label)):
                member = tarfile.TarInfo(f"{number:04}.{kind}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    facts, _ = command("clean", tmp_path / "photos.tar", tmp_path / "out", "--method", "corner", "--on-poison", "keep")
    assert facts["keep"] == 24
    kept = [name for name in members(tmp_path / "out") if name.endswith(".webp" if suffix == "webp" else ".png")]
    assert len(kept) == 24
