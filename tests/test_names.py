"""Names that are no UTF-8: kept as the file system has them, and escaped where text is written."""

import json
import os
from pathlib import Path

import pyarrow.parquet
import pytest
from torchvision.datasets import ImageFolder

import corner
from unpoison import Report, SanitizedDataset, Sanitizer
from unpoison.cli import main
from unpoison.printable import printable
from unpoison.samples import check_samples, read_samples, write_samples

pytestmark = pytest.mark.filterwarnings(
    "ignore::unpoison.errors.ThinEvidenceWarning", "ignore::unpoison.errors.DroppedSamplesWarning"
)
NAME, ESCAPED = os.fsdecode(b"caf\xe9"), "caf\\udce9"


@pytest.fixture
def photos(images_and_labels, tmp_path):
    root = tmp_path / "photos"
    corner.image_folder(*images_and_labels, root)
    try:
        (root / "class1").rename(root / NAME)
    except OSError:
        pytest.skip("the file system takes no such names")
    for number, path in enumerate(sorted((root / NAME).iterdir())):
        path.rename(path.with_name(os.fsdecode(b"\xff%d.png" % number)))
    return root


def test_printable():
    assert printable(NAME) == ESCAPED
    assert printable("naïve \\x") == "naïve \\x"
    assert printable("\ud800") == "\\ud800"


def test_clean_and_report(photos, tmp_path, capfd):
    out = tmp_path / os.fsdecode(b"out\xff")
    arguments = ["clean", str(photos), str(out), "--method", "corner", "--on-poison", "keep"]
    assert main([*arguments, "-v"]) == 0
    assert "shards and report: " in (printed := capfd.readouterr().out)
    assert "out\\udcff" in printed
    report = Report.load(out)
    assert NAME in report.class_names
    assert {Path(name).parent.name for name in report.files.names()} == {NAME, "class0", "class2"}
    assert all((photos / name).is_file() for name in report.files.names())
    assert ESCAPED in (out / "report.html").read_text("utf-8")
    assert (out / "README.md").read_text("utf-8")
    assert ESCAPED in (out / "report.json").read_text("ascii")
    served = SanitizedDataset.from_shards(out)
    assert served.classes == ImageFolder(photos).classes
    for suffix in ("csv", "parquet"):
        table = tmp_path / f"samples.{suffix}"
        assert main(["report", str(out), "--samples", str(table), "--images", str(photos)]) == 0
    paths = pyarrow.parquet.read_table(tmp_path / "samples.parquet")["filepath"].to_pylist()
    assert sum(f"/{ESCAPED}/" in path for path in paths) == sum(NAME in name for name in report.files.names())
    assert ESCAPED in (tmp_path / "samples.csv").read_text("utf-8")
    capfd.readouterr()
    # Once more, from the cache and over what was there.
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["out"] == str(out)


def test_a_reviewed_table_is_that_of_the_dataset(photos, tmp_path):
    import pyarrow as pa

    report = Sanitizer("corner").fit(ImageFolder(photos))
    table = report.samples().append_column("keep", pa.array([True] * len(report)))
    for suffix in ("csv", "parquet"):
        path = write_samples(table, tmp_path / f"reviewed.{suffix}")
        check_samples(
            read_samples(path), content=report.content, labels=report.original_label, names=report.class_names
        )
    again = Sanitizer("corner", keep=tmp_path / "reviewed.csv").fit(ImageFolder(photos))
    assert not again.flagged.any()


def test_files_that_cannot_be_read(photos, tmp_path, capfd):
    broken = next((photos / NAME).iterdir())
    broken.write_bytes(b"")
    arguments = ["clean", str(photos), str(tmp_path / "out"), "--method", "corner"]
    assert main(arguments) == 1
    assert f"{ESCAPED}/{printable(broken.name)}) cannot be read" in capfd.readouterr().err
    assert main([*arguments, "--on-unreadable", "skip"]) == 0
    assert f"{ESCAPED}/{printable(broken.name)}" in capfd.readouterr().out
    assert f"{ESCAPED}/{printable(broken.name)}" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert Report.load(tmp_path / "out").unreadable[0].file == f"{NAME}/{broken.name}"


def test_a_poisoned_copy(photos, tmp_path, capfd):
    out = tmp_path / os.fsdecode(b"out\xff")
    assert main(["attack", str(photos), str(out), "--attack", "badnets", "--rate", "0.2"]) == 0
    assert "out\\udcff" in capfd.readouterr().out
    assert ImageFolder(out).classes == ImageFolder(photos).classes
    assert NAME in json.loads((out / "poison.json").read_text())["classes"]
