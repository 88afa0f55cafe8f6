"""`unpoison report`: the page of what was cleaned."""

import shutil

import pytest

import corner  # noqa: F401 (registers the method)
from unpoison import Report, Sanitizer
from unpoison.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


@pytest.fixture(autouse=True)
def page(monkeypatch):
    def to_html(self, path):
        path.write_text(self.summary())
        return path

    monkeypatch.setattr(Report, "to_html", to_html, raising=False)


@pytest.fixture
def sanitizer(pairs, tmp_path):
    sanitizer = Sanitizer("corner")
    sanitizer.export(pairs, tmp_path / "cleaned")
    return sanitizer


def test_of_a_cleaned_folder(sanitizer, tmp_path, capfd):
    assert main(["report", str(tmp_path / "cleaned")]) == 0
    page = tmp_path / "cleaned" / "report.html"
    assert capfd.readouterr().out == f"{page.read_text()}\nreport to look at: {page}\n"
    assert "3 of 24 samples flagged" in page.read_text()


def test_of_a_run_in_the_cache(sanitizer, tmp_path, command):
    run = shutil.copytree(sanitizer.cleaned.folder, tmp_path / "run")
    facts, _ = command("report", run, "--out", tmp_path / "page.html")
    assert facts["html"] == str(tmp_path / "page.html")
    assert (facts["samples"], facts["flagged"], facts["restore"], facts["drop"]) == (24, 3, 2, 1)
    assert (tmp_path / "page.html").is_file()


def test_of_nothing(refused, tmp_path):
    assert "no readable report" in refused(1, "report", tmp_path)
