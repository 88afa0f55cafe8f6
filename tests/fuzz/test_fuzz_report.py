"""Saved reports: `report.json` and archives of arrays."""

import numpy as np
import pytest

import corner
from folders import cases, changed
from harmless import harmless
from unpoison import Report, Sanitizer
from unpoison.cli.facts import report_facts
from unpoison.data.checksums import SUMS
from unpoison.errors import UnpoisonError


@pytest.fixture
def saved(images_and_labels, tmp_path):
    photos = corner.image_folder(*images_and_labels, tmp_path / "photos")
    return Sanitizer("corner").fit(photos).save(tmp_path / "report")


def test_report(fuzz, saved, tmp_path):
    def read():
        report = Report.load(saved)
        return report, report.summary(), report_facts(report), report.samples(), report.save(tmp_path / "again")

    expected = harmless(read, [tmp_path / "again"])

    def use(case):
        with changed(saved, case) as size:
            found = harmless(read, [tmp_path / "again"], size or 0)
            if not isinstance(found, UnpoisonError) and not case.listed:
                assert found[1:3] == expected[1:3]
                assert found[3].equals(expected[3])
                assert np.array_equal(found[0].pictures.before, expected[0].pictures.before)

    fuzz(cases(saved), 150, use)


def test_page(fuzz, saved, tmp_path):
    """A page is written of what can be read at all."""
    Report.load(saved).to_html(tmp_path / "page.html")  # what draws it makes folders of its own

    def use(case):
        with changed(saved, case) as size:
            harmless(lambda: Report.load(saved).to_html(tmp_path / "page.html"), [tmp_path], size or 0)

    fuzz(cases(saved, leaving=(SUMS,)).map(lambda case: case._replace(listed=True)), 20, use)
