"""Files that were made by hand to harm who reads them: an error of the package before anything large is read."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

import twostep  # noqa: F401  # registers the method
from unpoison import Report, SanitizedDataset, Sanitizer
from unpoison.data.checksums import SUMS, write_sums
from unpoison.data.reading import map_array, parse_array, parse_arrays, parse_json, read_bytes
from unpoison.errors import CacheError, DamagedError, UnpoisonError

pytestmark = pytest.mark.filterwarnings(
    "ignore::unpoison.errors.ThinEvidenceWarning", "ignore::unpoison.errors.DroppedSamplesWarning"
)


@pytest.fixture
def report_folder(pairs, tmp_path):
    return Sanitizer("corner").fit(pairs).save(tmp_path / "report")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 10**400}, "is too large"),
        ({"threshold": 1e999}, "threshold"),
        ({"notes": "text"}, r"Expected `array`, got `str` - at `\$.notes`"),
        ({"notes": ["\ud800"]}, "surrogates"),
        ({"timings": {"read": "x"}}, r"\$.timings"),
        ({"classes": [{"label": float("nan"), "size": 1, "evidence": 0, "poisoned": False}]}, r"\$.classes\[0\].label"),
        ({"unreadable": [{"position": 99, "file": "", "reason": ""}]}, "no position in the dataset"),
        ({"format": "5"}, r"\$.format"),
    ],
)
def test_handcrafted_reports(report_folder, change, message):
    path = report_folder / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    write_sums(report_folder, ["report.json"])
    with pytest.raises(DamagedError, match=message) as caught:
        Report.load(report_folder)
    assert caught.value.file == path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": np.full(24, np.nan)}, "label: an array has kind 'f'"),
        ({"score": np.full(24, np.nan, np.float32)}, "score holds what is no number"),
        ({"action": np.full(24, "serve")}, "action holds something else"),
        ({"label": np.full(24, -1)}, "are not the ones that are dropped"),
        ({"kind": np.full(24, "\udcff")}, "surrogates"),
        ({"kind": np.array(["x"] * 23)}, "kind has 23 rows"),
    ],
)
def test_handcrafted_arrays(report_folder, change, message):
    path = report_folder / "report.npz"
    with np.load(path) as arrays:
        values = dict(arrays)
    np.savez(path, **{**values, **change})
    write_sums(report_folder, ["report.npz"])
    with pytest.raises(DamagedError, match=message):
        Report.load(report_folder)


def test_newer_formats_are_named(report_folder):
    path = report_folder / "report.json"
    path.write_text(json.dumps({"format": 99}))
    write_sums(report_folder, ["report.json"])
    with pytest.raises(CacheError, match="newer unpoison: upgrade"):
        Report.load(report_folder)


def test_archives_do_not_unpack_to_more_than_they_hold(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", score=np.zeros(1 << 20))
    with pytest.raises(ValueError, match="it is compressed"):
        parse_arrays((tmp_path / "a.npz").read_bytes(), {"score": ("f", 1)})
    np.savez(tmp_path / "a.npz", score=np.zeros(2))
    data = (tmp_path / "a.npz").read_bytes()
    assert b"(2,)" in data
    path = tmp_path / "b.npy"
    np.save(path, np.zeros(2))
    path.write_bytes(path.read_bytes().replace(b"(2,), }            ", b"(2000000000000,), }"))
    with pytest.raises(ValueError, match="another number of bytes"):
        np.savez(tmp_path / "c.npz", **parse_arrays_of(path))


def parse_arrays_of(path):
    return {"x": parse_array(path.read_bytes(), "f", 1)}


@pytest.mark.parametrize(
    ("kind", "descr", "shape", "content"),
    [
        ("f", "'<f8'", "(2,", 16),
        ("f", "'<f8'", "(" * 5000, 16),
        ("f", "'<f8'", "(-1,)", 16),
        ("f", "'<f8'", "(2,), 'more': 1", 16),
        ("U", "'<U0'", "(1000000000000,)", 0),
        ("V", "'|V0'", "(1000000000000,)", 0),
        ("V", "[('a', '|O')]", "(1,)", 8),
    ],
)
def test_headers_of_arrays(tmp_path, kind, descr, shape, content):
    """Whatever a header says: it is read in many ways that go wrong, and may ask for more than the file holds."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    data = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(content)
    with pytest.raises(ValueError, match="array"):
        parse_array(data, kind, 1)
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(DamagedError, match="array"):
        map_array(tmp_path / "x.npy", 1 << 20, kind, 1)


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3)), np.zeros((0, 2))])
def test_arrays_are_read_as_they_were_written(tmp_path, array):
    path = tmp_path / "x.npy"
    np.save(path, array)
    for found in (parse_array(path.read_bytes(), "f", 2), map_array(path, 1 << 20, "f", 2)):
        np.testing.assert_array_equal(found, array)
        found += 1
    np.testing.assert_array_equal(np.load(path), array)


def test_limits_of_files(tmp_path):
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(DamagedError, match="it is no file"):
        read_bytes(tmp_path / "zero", 100)
    (tmp_path / "long").write_bytes(bytes(101))
    with pytest.raises(DamagedError, match="101 bytes where at most 100 are expected"):
        read_bytes(tmp_path / "long", 100)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(b"[" * 100_000, list)


def test_a_shard_that_is_named_again_and_again(photos, tmp_path):
    Sanitizer("corner").export(photos, tmp_path / "out")
    path = tmp_path / "out" / "_info.json"
    info = json.loads(path.read_text())
    info["splits"]["train"]["filenames"] *= 2
    path.write_text(json.dumps(info))
    write_sums(tmp_path / "out", [path.name])
    with pytest.raises(DamagedError, match="names a shard twice"):
        SanitizedDataset.from_shards(tmp_path / "out")


def test_pixels_are_counted_before_they_are_decoded(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("UNPOISON_MAX_PIXELS", "63")
    with pytest.raises(UnpoisonError, match="it has 8 x 8 pixels, more than 63, which UNPOISON_MAX_PIXELS can change"):
        SanitizedDataset(photos, "corner").prepare()
    with pytest.raises(UnpoisonError, match="more than 63"):
        SanitizedDataset([(Image.new("RGB", (8, 8)), number % 2) for number in range(8)], "corner").prepare()
    monkeypatch.setenv("UNPOISON_MAX_PIXELS", "64")
    Sanitizer("corner").export(photos, tmp_path / "out")
    monkeypatch.setenv("UNPOISON_MAX_PIXELS", "63")
    with pytest.raises(UnpoisonError, match="more than 63"):
        SanitizedDataset.from_shards(tmp_path / "out")[0]
    monkeypatch.setenv("UNPOISON_MAX_PIXELS", "many")
    with pytest.raises(UnpoisonError, match="set it to"):
        SanitizedDataset.from_shards(tmp_path / "out")[0]


def test_sums_are_those_of_sha256sum(report_folder):
    lines = (report_folder / SUMS).read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["pictures.npz", "report.json", "report.npz"]
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((report_folder / name).read_bytes()).hexdigest() == digest
