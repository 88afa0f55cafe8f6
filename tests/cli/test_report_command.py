"""`unpoison report`: the page of what was cleaned."""

import shutil

import numpy as np
import pandas
import pytest

import corner
from unpoison import Sanitizer
from unpoison.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


@pytest.fixture
def sanitizer(pairs, tmp_path):
    sanitizer = Sanitizer("corner")
    sanitizer.export(pairs, tmp_path / "cleaned")
    return sanitizer


def test_of_a_cleaned_folder(sanitizer, tmp_path, capfd):
    assert main(["report", str(tmp_path / "cleaned")]) == 0
    page, printed = tmp_path / "cleaned" / "report.html", capfd.readouterr().out
    assert "3 of 24 samples flagged" in printed
    assert f"report to look at: {page}\n" in printed
    assert "24 images" in page.read_text()


def test_of_a_run_in_the_cache(sanitizer, tmp_path, command):
    run = shutil.copytree(sanitizer.cleaned.folder, tmp_path / "run")
    facts, _ = command("report", run, "--out", tmp_path / "page.html")
    assert facts["html"] == str(tmp_path / "page.html")
    assert (facts["samples"], facts["flagged"], facts["restore"], facts["drop"]) == (24, 3, 2, 1)
    assert "24 images" in (tmp_path / "page.html").read_text()


@pytest.fixture
def photos(images_and_labels, tmp_path):
    return corner.image_folder(*images_and_labels, tmp_path / "photos")


def test_table_of_a_run_in_the_cache(photos, tmp_path, command):
    """Which knows where the images lie."""
    sanitizer = Sanitizer("corner")
    sanitizer.fit(photos)
    facts, _ = command(
        "report", sanitizer.cleaned.folder, "--samples", tmp_path / "samples.csv", "--out", tmp_path / "a"
    )
    assert facts["table"] == str(tmp_path / "samples.csv")
    frame = pandas.read_csv(tmp_path / "samples.csv")
    assert frame.filepath.tolist() == [path for path, _ in photos.samples]
    assert frame.flagged.sum() == 3


def test_table_of_a_cleaned_folder(photos, tmp_path, capfd):
    """Which names no folder outside of it."""
    cleaned = tmp_path / "cleaned"
    Sanitizer("corner").export(photos, cleaned)
    for file in cleaned.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()
        if file.suffix == ".npz":
            with np.load(file) as arrays:
                assert not any(str(tmp_path).encode() in arrays[name].tobytes() for name in arrays.files)
    names = [path.removeprefix(f"{tmp_path}/photos/") for path, _ in photos.samples]
    tables = []
    for more in ([], ["--images", str(tmp_path / "photos")]):
        assert main(["report", str(cleaned), "--samples", str(tmp_path / "samples.parquet"), *more]) == 0
        assert f"table of the samples: {tmp_path / 'samples.parquet'}\n" in capfd.readouterr().out
        tables.append(pandas.read_parquet(tmp_path / "samples.parquet").filepath.tolist())
    assert tables == [names, [path for path, _ in photos.samples]]


def test_wrong_arguments_of_the_table(sanitizer, tmp_path, refused):
    cleaned = tmp_path / "cleaned"
    (cleaned / "report.html").unlink()
    assert "neither .parquet nor .csv" in refused(2, "report", cleaned, "--samples", tmp_path / "samples.xlsx")
    assert "ask for one with --samples" in refused(2, "report", cleaned, "--images", tmp_path)
    assert "names no files" in refused(2, "report", cleaned, "--images", tmp_path, "--samples", tmp_path / "a.csv")
    assert not (cleaned / "report.html").exists()
    assert not list(tmp_path.glob("*.csv"))


def test_of_nothing(refused, tmp_path):
    assert "there are no checksums" in refused(1, "report", tmp_path)
