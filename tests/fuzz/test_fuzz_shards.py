"""Exported sets: tars, `_info.json`, the index, checksums and the report beside them."""

import corner
from folders import cases, changed
from harmless import harmless
from unpoison import SanitizedDataset, Sanitizer
from unpoison.data.items import same_parts
from unpoison.data.outputs import RECORD
from unpoison.errors import UnpoisonError


def served(folder):
    """All that a script takes from a set."""
    reopened = SanitizedDataset.from_shards(folder)
    aligned = SanitizedDataset.from_shards(folder, align=True)
    return (
        list(reopened), reopened.targets, reopened.classes, reopened.source_index.tolist(),
        reopened.positions(range(len(reopened.report))).tolist(), list(aligned), reopened.report.action.tolist(),
        reopened.report.score.tolist(),
    )  # fmt: skip


def test_shards(fuzz, images_and_labels, tmp_path):
    photos = corner.image_folder(*images_and_labels, tmp_path / "photos")
    out = tmp_path / "out"
    Sanitizer("corner").export(photos, out)
    expected = harmless(lambda: served(out), [])
    assert not isinstance(expected, UnpoisonError)

    def use(case):
        with changed(out, case) as size:
            found = harmless(lambda: served(out), [], size or 0)
            if isinstance(found, UnpoisonError):
                assert str(out) in str(found)
            elif not case.listed:
                assert same_parts(found, expected)

    fuzz(cases(out, leaving=(RECORD, ".md", ".html")), 100, use)


def test_places_to_write_to(fuzz, pairs, tmp_path):
    """Whatever the record in it says, a folder is replaced only where nothing else lies there."""
    out = tmp_path / "out"
    sanitizer = Sanitizer("corner")
    sanitizer.export(pairs, out)

    def use(case):
        with changed(out, case) as size:
            (out / "of-the-user").write_bytes(b"x")
            found = harmless(lambda: sanitizer.export(pairs, out), [tmp_path], size or 0)
            assert isinstance(found, UnpoisonError)
            assert (out / "of-the-user").exists()

    fuzz(cases(out, leaving=(".tar", ".html", ".md", ".npz", ".npy")), 40, use)
