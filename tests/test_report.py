"""The report: saved without pickle, read back whole, refused when damaged."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from listed import relist
from unpoison import Report
from unpoison.errors import CacheError
from unpoison.image_files import ImageFiles
from unpoison.report import ClassEvidence


@pytest.fixture
def report():
    return Report(
        score=np.array([-1, 2.5, 3, 0], np.float32),
        flagged=np.array([False, True, True, False]),
        kind=np.array(["", "backdoor", "mislabelled", ""]),
        action=np.array(["keep", "restore", "drop", "keep"]),
        label=np.array([0, 1, -1, 2]),
        original_label=np.array([0, 0, 0, 2]),
        quality=np.array([1, 0.75, 0, 1], np.float32),
        threshold=0.5,
        classes=[
            ClassEvidence(label=0, size=3, evidence=9.5, poisoned=True, details={"share": 0.6}),
            ClassEvidence(label=2, size=1, evidence=0.0, poisoned=False),
        ],
        timings={"read": 1.2, "detect": 60.4},
        config={"method": "pdautor", "seed": 3},
        notes=["class 0: the flagged images share a trigger of kind patch"],
        versions={"unpoison": "1"},
        files=ImageFiles.of(["/photos/a/0.png", "", "/photos/b/2.png", "/photos/b/3.png"]),
    )


def test_round_trip(report, tmp_path):
    again = Report.load(report.save(tmp_path / "new" / "folder"))
    for field in dataclasses.fields(Report):
        before, after = getattr(report, field.name), getattr(again, field.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(after, before)
            assert after.dtype == before.dtype
        else:
            assert after == before
    assert len(again) == 4


def test_save_takes_the_place_of_an_older_report(report, tmp_path):
    report.save(tmp_path)
    dataclasses.replace(report, threshold=0.25, files=None).save(tmp_path)
    again = Report.load(tmp_path)
    assert (again.threshold, again.files) == (0.25, None)


def test_no_pickle(report, tmp_path):
    report.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "SHA256SUMS", "report.json", "report.npz", "files.npz",
    }  # fmt: skip
    with np.load(tmp_path / "report.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.hasobject for name in arrays} == dict.fromkeys(arrays, False)
        np.testing.assert_array_equal(arrays["action"], report.action)
    assert json.loads((tmp_path / "report.json").read_text())["threshold"] == 0.5


def test_pickled_arrays_are_refused(report, tmp_path):
    report.save(tmp_path)
    with np.load(tmp_path / "report.npz") as arrays:
        values = {name: arrays[name] for name in arrays}
    values["kind"] = np.array(["", "backdoor", "mislabelled", ""], dtype=object)
    np.savez(tmp_path / "report.npz", **values)
    with pytest.raises(CacheError, match="kind: an array has kind 'O'"):
        Report.load(relist(tmp_path))


def test_missing(tmp_path):
    with pytest.raises(CacheError, match="is missing, damaged or not of unpoison"):
        Report.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["report.json", "report.npz", "files.npz"])
@pytest.mark.parametrize("keep", [0, 40])
def test_cut_off(report, tmp_path, name, keep):
    report.save(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CacheError, match="is missing, damaged or not of unpoison"):
        Report.load(tmp_path)


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"format": "x"}', '{"format": 1, "surprise": 2}'])
def test_wrong_json(report, tmp_path, text):
    report.save(tmp_path)
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(CacheError, match=r"Expected `(object|int)`|missing required field"):
        Report.load(relist(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"score": np.zeros(5, np.float32)},
        {"label": np.zeros((4, 1), np.int64)},
        {"action": np.zeros(4, np.int64)},
        {"quality": np.array(["high"] * 4)},
        {"reason": np.array(["asked"])},
        {"duplicate_of": np.zeros(3, np.int64)},
        {"duplicate_of": np.zeros(4)},
        {"duplicate_of": np.full(4, 4)},
        {"duplicate_of": np.full(4, -2)},
        {"votes": np.zeros((3, 2), bool)},
    ],
)
def test_arrays_of_another_kind(report, tmp_path, changes):
    dataclasses.replace(report, **changes).save(tmp_path)
    with pytest.raises(CacheError, match=next(iter(changes))):
        Report.load(tmp_path)


def test_arrays_that_claim_to_be_huge(report, tmp_path, monkeypatch):
    """Neither their size in the archive nor their shape takes memory."""
    report.save(tmp_path)
    monkeypatch.setattr("unpoison.report._MAX_BYTES", 1 << 16)
    assert len(Report.load(tmp_path)) == 4
    with zipfile.ZipFile(tmp_path / "report.npz") as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    shaped = members["score.npy"].replace(b"(4,), }" + b" " * 20, b"(400000000000000,), }" + b" " * 6)
    assert len(shaped) == len(members["score.npy"])
    assert shaped != members["score.npy"]
    for score in (shaped, bytes(1 << 17)):
        with zipfile.ZipFile(tmp_path / "report.npz", "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in {**members, "score.npy": score}.items():
                packed.writestr(name, content)
        with pytest.raises(CacheError, match="it is compressed"):
            Report.load(relist(tmp_path))
        with zipfile.ZipFile(tmp_path / "report.npz", "w") as packed:
            for name, content in {**members, "score.npy": score}.items():
                packed.writestr(name, content)
        with pytest.raises(CacheError, match=r"bytes|magic"):
            Report.load(relist(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"timings": {"read": "long"}},
        {"notes": [1]},
        {"class_names": [None]},
        {"config": []},
        {"threshold": float("inf")},
        {"versions": {"a": 1}},
    ],
)
def test_facts_of_another_kind(report, tmp_path, changes):
    report.save(tmp_path)
    facts = json.loads((tmp_path / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps({**facts, **changes}))
    with pytest.raises(CacheError, match=rf"\$\.{next(iter(changes))}"):
        Report.load(relist(tmp_path))


def test_newer_format(report, tmp_path):
    report.save(tmp_path)
    facts = json.loads((tmp_path / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(CacheError, match="newer unpoison: upgrade"):
        Report.load(relist(tmp_path))


@pytest.mark.parametrize("text", ['"fine"', "null", "[]", "3"])
def test_status_of_another_kind(report, tmp_path, text):
    report.save(tmp_path)
    path = tmp_path / "report.json"
    path.write_text(path.read_text().replace('"status": "poisoned"', f'"status": {text}'))
    with pytest.raises(CacheError, match=r"\.status"):
        Report.load(relist(tmp_path))


def test_status_follows_from_the_gate_unless_it_says_more():
    entry = ClassEvidence(label=0, size=3, evidence=9.5, poisoned=True)
    assert entry.status == "poisoned"
    assert dataclasses.replace(entry, poisoned=False).status == "clean"
    look = dataclasses.replace(entry, status="needs a look")
    assert look.status == dataclasses.replace(look, poisoned=False).status == "needs a look"
    unknown = ClassEvidence(label=0, size=3, evidence=0.0, poisoned=False, status="not assessable")
    assert unknown.status == "not assessable"
    # What is found in the pixels later says more.
    assert dataclasses.replace(unknown, poisoned=True).status == "poisoned"


def test_classes_by_status(report, tmp_path):
    first, second = report.classes
    report = dataclasses.replace(
        report,
        classes=[
            dataclasses.replace(first, status="needs a look"),
            dataclasses.replace(second, status="not assessable"),
        ],
    )
    assert Report.load(report.save(tmp_path)).classes == report.classes
    assert report.with_status("needs a look") == [0]
    text = report.summary()
    assert "poisoned classes: none\nclasses that need a look: 0\nclasses that are not assessable: 2\n" in text


def test_summary(report):
    text = report.summary()
    assert "2 of 4 samples flagged, 1 backdoor, 1 mislabelled" in text
    assert "kept 2, restored 1, dropped 1" in text
    assert "poisoned classes: 0" in text
    assert "62 s" in text
    assert text.endswith("trigger of kind patch")


def test_summary_of_duplicates(report):
    report = dataclasses.replace(report, duplicate_of=np.array([0, 0, -1, -1]))
    assert "\n2 duplicates in 1 group: kept\n" in report.summary()
    dropped = dataclasses.replace(report, reason=np.array(["", "duplicate", "", ""]))
    assert "\n2 duplicates in 1 group: 1 dropped\n" in dropped.summary()


def test_summary_of_clean_data(report):
    clean = dataclasses.replace(
        report,
        flagged=np.zeros(4, bool),
        kind=np.full(4, ""),
        action=np.full(4, "keep"),
        classes=[dataclasses.replace(entry, poisoned=False) for entry in report.classes],
    )
    assert "0 of 4 samples flagged\n" in clean.summary()
    assert "poisoned classes: none" in clean.summary()
