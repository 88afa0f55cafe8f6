"""`unpoison report`: the page of what was cleaned."""

import shutil

import pytest

import corner  # noqa: F401 (registers the method)
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


def test_of_nothing(refused, tmp_path):
    assert "no readable report" in refused(1, "report", tmp_path)
