"""Files that were damaged after they were written: an error of the package, or no effect on what is served."""

import dataclasses
import logging
import shutil

import numpy as np
import pytest

import corner
import twostep  # noqa: F401  # registers the method
from restorers import make_restorer
from unpoison import Restorer, SanitizedDataset, Sanitizer
from unpoison.data.checksums import SUMS
from unpoison.data.items import same_parts
from unpoison.data.outputs import RECORD
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
