"""`on_unreadable="skip"`: what cannot be read is left out everywhere, and the report names it."""

import io
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

import corner
import unpoison
from listed import relist
from unpoison import Report, SanitizedDataset, Sanitizer
from unpoison.errors import CacheError, DatasetError, UnreadableError, UnreadableWarning
from unpoison.report import Unreadable

pytestmark = [
    pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
SKIP = {"method": "corner", "on_unreadable": "skip"}


def cut(data):
    """A PNG file with a whole header, whose pixels are cut off."""
    return data[: len(data) - 40]


@pytest.fixture
def folder(images_and_labels, tmp_path):
    dataset = corner.image_folder(*images_and_labels, tmp_path / "data")
    dataset.transform = dataset.target_transform = None
    return type(dataset)(tmp_path / "data")


def damage(folder):
    """At 2 a header that is none, at 5 no file, at 12 pixels that are cut off; before and among poisoned images."""
    paths = {at: Path(folder.samples[at][0]) for at in (2, 5, 12)}
    paths[2].write_bytes(b"<html>")
    paths[5].unlink()
    paths[12].write_bytes(cut(paths[12].read_bytes()))
    return paths


def check(served, folder, whole, bad):
    """All others come as they come from the undamaged set."""
    assert served.report.action[list(bad)].tolist() == ["drop"] * len(bad)
    assert not set(bad) & set(served.source_index.tolist())
    expected = {int(source): whole[position] for position, source in enumerate(whole.source_index)}
    for position, source in enumerate(served.source_index.tolist()):
        image, label = served[position]
        np.testing.assert_array_equal(np.array(image), np.array(expected[source][0]))
        assert label == expected[source][1]


@pytest.fixture
def whole(folder, tmp_path):
    """The undamaged set, cleaned."""
    shutil.copytree(folder.root, tmp_path / "whole")
    served = SanitizedDataset(type(folder)(tmp_path / "whole"), "corner").prepare()
    assert not served.report.unreadable
    return served


def test_the_rest_is_cleaned(folder, whole, tmp_path):
    paths = damage(folder)
    with pytest.raises(UnreadableError, match=rf"item 2 \({paths[2]}\)"):
        SanitizedDataset(folder, "corner").prepare()
    served = SanitizedDataset(folder, **SKIP)
    report = served.report
    assert len(report) == 24
    assert [(entry.position, entry.file) for entry in report.unreadable] == [(n, str(p)) for n, p in paths.items()]
    assert [entry.reason.split(",")[0] for entry in report.unreadable] == [
        "its content is no image of a known format", "No such file or directory", report.unreadable[2].reason
    ]  # fmt: skip
    for at in paths:
        assert (report.flagged[at], report.kind[at], report.label[at], report.reason[at]) == (
            False, "", -1, "unreadable"
        )  # fmt: skip
        assert report.score[at] == report.score.min()
        assert report.original_label[at] == folder.targets[at]
    check(served, folder, whole, paths)
    np.testing.assert_array_equal(np.delete(report.flagged, list(paths)), np.delete(whole.report.flagged, list(paths)))
    assert set(report.pictures.index.tolist()) == set(np.flatnonzero(report.flagged).tolist())
    assert "which 3 cannot be read" in report.summary()
    assert f"cannot be read: {paths[5]} (No such file or directory)" in report.summary()
    assert report.summary() == Report.load(report.save(tmp_path / "saved")).summary()


def test_opened_again_exported_and_reopened(folder, tmp_path):
    damage(folder)
    first = SanitizedDataset(folder, **SKIP).prepare()
    second = SanitizedDataset(folder, **SKIP).prepare()
    assert second.shards == first.shards
    report = Sanitizer(**SKIP).export(folder, tmp_path / "out")
    again = SanitizedDataset.from_shards(tmp_path / "out")
    assert report.unreadable == first.report.unreadable
    # What is handed on does not tell where the data lie.
    assert [entry.file for entry in again.report.unreadable] == [
        str(Path(entry.file).relative_to(folder.root)) for entry in report.unreadable
    ]
    for name in ("report.json", "report.html"):
        assert str(tmp_path) not in (tmp_path / "out" / name).read_text()
    np.testing.assert_array_equal(again.source_index, first.source_index)
    for one, other in zip(again, first, strict=True):
        np.testing.assert_array_equal(np.array(one[0]), np.array(other[0]))
    assert "No such file or directory" in (tmp_path / "out" / "report.html").read_text()


def test_without_damage_the_result_is_the_same(folder):
    assert SanitizedDataset(folder, **SKIP).shards == SanitizedDataset(folder, "corner").shards


def test_what_another_call_skipped_is_still_an_error(folder):
    """The survey does not decode: only the cache knows that the file is damaged."""
    path = Path(folder.samples[12][0])
    path.write_bytes(cut(path.read_bytes()))
    served = SanitizedDataset(folder, **SKIP).prepare()
    with pytest.raises(UnreadableError, match=rf"item 12 \({path}\) cannot be read"):
        SanitizedDataset(folder, "corner").prepare()
    # The working copy alone is not trusted either.
    shutil.rmtree(served.shards[0].parents[1])
    with pytest.raises(UnreadableError, match=rf"item 12 \({path}\) cannot be read"):
        SanitizedDataset(folder, "corner").prepare()
    assert len(SanitizedDataset(folder, **SKIP)) == len(served)


def test_a_repaired_file_is_new_content(folder, whole):
    contents = {at: Path(path).read_bytes() for at, (path, _) in enumerate(folder.samples)}
    paths = damage(folder)
    assert len(SanitizedDataset(folder, **SKIP)) == 20
    for at, path in paths.items():
        path.write_bytes(contents[at])
    served = SanitizedDataset(folder, **SKIP)
    check(served, folder, whole, ())
    assert not served.report.unreadable


def test_a_served_file_that_breaks_later_is_an_error(folder):
    served = SanitizedDataset(folder, **SKIP).prepare()
    source = int(served.source_index[4])
    Path(folder.samples[source][0]).unlink()
    with pytest.raises(DatasetError, match=rf"item {source} is not the one that was cleaned"):
        served[4]


@pytest.mark.parametrize("make", [lambda data: b"", cut], ids=["header", "pixels"])
def test_nothing_readable(folder, make, cache):
    for path, _ in folder.samples:
        Path(path).write_bytes(make(Path(path).read_bytes()))
    with pytest.raises(DatasetError, match=r"item 0.*cannot be read"):
        SanitizedDataset(folder, **SKIP).prepare()
    assert not list(cache.rglob("manifest.json"))


@pytest.mark.parametrize("make", [lambda data: b"", cut], ids=["header", "pixels"])
@pytest.mark.parametrize(("left", "message"), [(0, "at least two classes"), (1, "the only image of class 0")])
def test_too_few_are_left(folder, make, left, message, cache):
    """Of the classes 0 and 1 alone."""
    folder.samples = [sample for sample in folder.samples if sample[1] < 2]
    first = [path for path, label in folder.samples if label == 0]
    for path in first[left:]:
        Path(path).write_bytes(make(Path(path).read_bytes()))
    with pytest.raises(DatasetError, match=message) as error:
        SanitizedDataset(folder, **SKIP).prepare()
    assert f"({len(first) - left} of the dataset's items cannot be read)" in str(error.value)
    assert not list(cache.rglob("manifest.json"))


def test_other_mistakes_are_still_errors(folder):
    folder.samples[9] = (folder.samples[9][0], -1)
    with pytest.raises(DatasetError, match="the label -1 is negative"):
        SanitizedDataset(folder, **SKIP).prepare()


def test_datasets_that_fail_in_their_own_code(images_and_labels):
    images, labels = images_and_labels

    class Own:
        def __len__(self):
            return 24

        def __getitem__(self, index):
            if index in (0, 6):
                raise OSError("gone")
            return images[index], labels[index]

    served = SanitizedDataset(Own(), **SKIP)
    assert served.report.unreadable == [Unreadable(position=n, file="", reason="OSError('gone')") for n in (0, 6)]
    assert served.report.original_label[[0, 6]].tolist() == [-1, -1]
    assert not {0, 6} & set(served.source_index.tolist())
    np.testing.assert_array_equal(served[0][0], images[1])


def table(images_and_labels, tmp_path):
    """Rows 2, 5 and 12 are damaged, as above; at 16 there is no image."""
    files = []
    for number, image in enumerate(images_and_labels[0]):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "png")
        files.append({"bytes": buffer.getvalue(), "path": f"{number}.png"})
    files[2]["bytes"] = b"<html>"
    files[5] = {"bytes": None, "path": str(tmp_path / "gone.png")}
    files[12]["bytes"] = cut(files[12]["bytes"])
    files[16] = None
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    return datasets.Dataset.from_dict({"image": files, "label": images_and_labels[1].tolist()}, features=features)


@pytest.mark.parametrize("streaming", [False, True])
def test_tables_and_streams(images_and_labels, tmp_path, streaming):
    rows = table(images_and_labels, tmp_path)
    source = rows.to_iterable_dataset(num_shards=3) if streaming else rows
    with pytest.raises(UnreadableError, match=r"item 2 \(2.png\)"):
        unpoison.sanitize(source, "corner")
    with pytest.warns(UnreadableWarning, match=r"4 of 24 rows .* the first is 2.png \(its content is no image"):
        cleaned = unpoison.sanitize(source, "corner", on_unreadable="skip")
    found = [np.array(row["image"]) for row in cleaned]
    left = [number for number in range(24) if number not in (2, 5, 12, 16, corner.POISONED[-1])]
    assert len(found) == len(left)
    repaired = corner.repaired(images_and_labels[0])
    for image, number in zip(found, left, strict=True):
        np.testing.assert_array_equal(image, repaired[number])


def test_map_marks_the_rows(images_and_labels, tmp_path):
    rows = table(images_and_labels, tmp_path)
    sanitizer = Sanitizer(**SKIP)
    report = sanitizer.fit(rows)
    assert [entry.file for entry in report.unreadable] == ["2.png", str(tmp_path / "gone.png"), "12.png", ""]
    mapped = rows.map(sanitizer, batched=True, with_indices=True)
    assert [n for n, action in enumerate(mapped["unpoison_action"]) if action == "drop"] == [2, 5, 12, 13, 16]


@pytest.mark.parametrize(
    "entries",
    [3, ["x"], [{}], [{"position": "0", "file": "", "reason": ""}], [{"position": 24, "file": "", "reason": ""}],
     [{"position": 0, "file": 1, "reason": ""}], [{"position": 0, "file": "", "reason": None}],
     [{"position": True, "file": "", "reason": ""}]],
)  # fmt: skip
def test_damaged_reports(folder, tmp_path, entries):
    import json

    report = SanitizedDataset(folder, "corner").report
    path = report.save(tmp_path / "report") / "report.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "unreadable": entries}))
    with pytest.raises(CacheError, match="unreadable"):
        Report.load(relist(tmp_path / "report"))


def test_the_page_escapes_names(folder, tmp_path):
    import dataclasses

    report = SanitizedDataset(folder, "corner").report
    named = [Unreadable(position=n, file=f"<b>{n}.png", reason="<script>") for n in range(300)]
    page = dataclasses.replace(report, unreadable=named).to_html(tmp_path / "page.html").read_text()
    assert "&lt;b&gt;7.png" in page
    assert "<b>7" not in page
    assert "The first 200 are shown" in page
    assert "What could not be read" not in report.to_html(tmp_path / "page.html").read_text()


def test_a_long_summary_is_cut(folder):
    import dataclasses

    report = SanitizedDataset(folder, "corner").report
    named = [Unreadable(position=n, file="", reason="no") for n in range(9)]
    lines = dataclasses.replace(report, unreadable=named).summary().splitlines()
    assert [line for line in lines if line.startswith("cannot be read")] == [
        *(f"cannot be read: item {n} (no)" for n in range(5)), "cannot be read: 4 more"
    ]  # fmt: skip
