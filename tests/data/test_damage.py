"""Files that were damaged after they were written: an error of the package, or no effect on what is served."""

import dataclasses
import hashlib
import json
import logging
import shutil

import numpy as np
import pytest
from PIL import Image

import corner
import twostep  # noqa: F401  # registers the method
from restorers import make_restorer
from unpoison import Report, Restorer, SanitizedDataset, Sanitizer
from unpoison.data.checksums import SUMS, write_sums
from unpoison.data.items import same_parts
from unpoison.data.outputs import RECORD
from unpoison.data.reading import map_array, parse_array, parse_arrays, parse_json, read_bytes
from unpoison.errors import CacheError, DamagedError, UnpoisonError

pytestmark = pytest.mark.filterwarnings(
    "ignore::unpoison.errors.ThinEvidenceWarning", "ignore::unpoison.errors.DroppedSamplesWarning"
)
FIRST = corner.POISONED[0]


def files_of(folder):
    """Everything but what does not decide what is read: locks, records, pages and cards."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name != RECORD
        and path.suffix not in (".lock", ".sha256", ".html", ".md")
        and path.stat().st_size
    ]


def damages(path, rng, count):
    """So many contents that differ in one bit, or are cut off."""
    data = path.read_bytes()
    for _ in range(count):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << rng.integers(8)
        yield bytes(flipped)
    yield data[: rng.integers(len(data))]


def damaged(folder, rng, count, use):
    """Calls `use` with each file of a folder damaged in turn; returns by file how often it raised an error."""
    errors = {}
    for path in files_of(folder):
        before = path.read_bytes()
        errors[path.relative_to(folder).as_posix()] = 0
        for data in damages(path, rng, count):
            path.write_bytes(data)
            try:
                use()
            except UnpoisonError as error:
                assert str(path.parent) in str(error)  # noqa: PT017
                errors[path.relative_to(folder).as_posix()] += 1
            finally:
                path.write_bytes(before)
    return errors


def same_report(report, other):
    arrays = ("score", "flagged", "kind", "action", "label", "original_label", "quality", "reason", "duplicate_of")
    assert all(np.array_equal(getattr(report, name), getattr(other, name)) for name in arrays)
    assert (report.classes, report.notes, report.config) == (other.classes, other.notes, other.config)
    assert (report.class_names, report.content, report.files) == (other.class_names, other.content, other.files)
    assert np.array_equal(report.pictures.before, other.pictures.before)


def same_sets(served, other):
    assert len(served) == len(other)
    assert all(same_parts(a, b) for a, b in zip(served, other, strict=True))
    assert served.targets == other.targets
    assert served.classes == other.classes
    assert np.array_equal(served.source_index, other.source_index)
    same_report(served.report, other.report)


@pytest.fixture
def photos(images_and_labels, tmp_path):
    dataset = corner.image_folder(*images_and_labels, tmp_path / "data")
    dataset.transform = dataset.target_transform = None
    return type(dataset)(tmp_path / "data")


def test_an_opened_run(photos, cache):
    """What is opened already reads its files only as they were."""
    expected = SanitizedDataset(photos, "twostep").prepare()
    items, report = list(expected), expected.report
    (run,) = cache.glob("runs/*")

    def use():
        served = SanitizedDataset(photos, "twostep")
        served._cleaned = type(expected._cleaned)(run)
        assert all(same_parts(a, b) for a, b in zip(served, items, strict=True))
        assert served.targets == expected.targets
        same_report(served.report, report)

    errors = damaged(cache, np.random.default_rng(0), 4, use)
    assert any("restored_index" in name and count == 5 for name, count in errors.items())
    assert any("shard-00000" in name and count for name, count in errors.items())
    # The dataset's own files say the same as the working copy.
    assert not any(count for name, count in errors.items() if name.startswith("stores/"))


def test_a_run_that_is_opened_anew(photos, cache, tmp_path):
    """What can be made again is: only what the shards hold is looked at later."""
    first = SanitizedDataset(photos, "twostep").prepare()
    expected, report = list(first), first.report
    shutil.copytree(cache, tmp_path / "whole")
    rng = np.random.default_rng(1)
    names = [path.relative_to(cache) for path in files_of(cache)]
    for name in names:
        (cache / name).write_bytes(next(damages(cache / name, rng, 1)))
        served = SanitizedDataset(photos, "twostep")
        try:
            assert all(same_parts(a, b) for a, b in zip(served, expected, strict=True))
            assert np.array_equal(served.report.action, report.action)
            assert np.array_equal(served.report.score, report.score)
        except DamagedError as error:
            assert name.suffix == ".tar"
            assert str(name) in str(error)  # noqa: PT017
        shutil.rmtree(cache)
        shutil.copytree(tmp_path / "whole", cache)


@pytest.mark.parametrize("place", ["stages/twostep-find/*", "stages/twostep-restore/*", "stores/*"])
def test_what_a_stage_made_is_made_again(place, pairs, cache, caplog):
    report = Sanitizer("twostep").fit(pairs)
    shutil.rmtree(cache / "runs")
    if "find" in place:
        shutil.rmtree(cache / "stages" / "twostep-restore")
    (folder,) = cache.glob(place)
    largest = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with caplog.at_level(logging.WARNING, "unpoison"):
        again = Sanitizer("twostep").fit(pairs)
    same_report(dataclasses.replace(again, notes=report.notes), report)
    assert caplog.text.count(f"made again: {largest}") == 1
    assert largest.read_bytes() == whole or "find" in place


def test_what_is_served_is_made_again(pairs, cache, caplog):
    SanitizedDataset(pairs, "twostep").prepare()
    (run,) = cache.glob("runs/*")
    index = run / "outcome" / "restored_index.npy"
    whole = index.read_bytes()
    index.write_bytes(whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:])
    with caplog.at_level(logging.WARNING, "unpoison"):
        served = SanitizedDataset(pairs, "twostep").prepare()
    # First the run, then the outcome in it.
    assert caplog.text.count(f"made again: {index}") == 2
    assert index.read_bytes() == whole
    np.testing.assert_array_equal(served[FIRST][0], corner.repaired(corner.make_images()[0])[FIRST])


def test_an_export(photos, tmp_path):
    Sanitizer("corner").export(photos, tmp_path / "out")
    expected = SanitizedDataset.from_shards(tmp_path / "out")
    list(expected), expected.report

    errors = damaged(
        tmp_path / "out",
        np.random.default_rng(2),
        12,
        lambda: same_sets(SanitizedDataset.from_shards(tmp_path / "out"), expected),
    )
    assert all(count == 13 for name, count in errors.items() if not name.endswith((".tar", SUMS)))
    assert errors["shard-00000.tar"]


def test_labels_in_shards_are_compared(photos, tmp_path):
    Sanitizer("corner").export(photos, tmp_path / "out")
    path = tmp_path / "out" / "shard-00000.tar"
    data = path.read_bytes()
    place = data.index(b"00000000.cls") + 512
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(DamagedError, match=r"shard-00000.tar is .* \(sample 00000000: its label and facts are not"):
        SanitizedDataset.from_shards(tmp_path / "out")


def test_damage_is_not_exported(photos, cache, tmp_path):
    sanitizer = Sanitizer("corner")
    sanitizer.fit(photos)
    (path,) = cache.glob("runs/*/shards/*.tar")
    data = path.read_bytes()
    path.write_bytes(data[:600] + bytes([data[600] ^ 1]) + data[601:])
    with pytest.raises(DamagedError, match=r"shard-00000\.tar"):
        sanitizer.export(photos, tmp_path / "out")


def test_a_restorer(tmp_path):
    folder = make_restorer().save_pretrained(tmp_path / "restorer")
    expected = Restorer.from_pretrained(folder).state_dict()

    def use():
        found = Restorer.from_pretrained(folder).state_dict()
        assert all((found[name] == expected[name]).all() for name in expected)

    errors = damaged(folder, np.random.default_rng(3), 40, use)
    assert errors["config.json"] == errors["model.safetensors"] == 41


def test_without_checksums_nothing_is_read(photos, tmp_path):
    Sanitizer("corner").export(photos, tmp_path / "out")
    (tmp_path / "out" / SUMS).unlink()
    with pytest.raises(CacheError, match="there are no checksums, as in what older versions wrote"):
        SanitizedDataset.from_shards(tmp_path / "out")


# Files that were written so on purpose, with checksums that fit.


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
