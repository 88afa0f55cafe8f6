"""A disk that fails, a process that is killed and a power loss, at every call: nothing half-written is served, what was
there before is not lost, and the next run ends as if nothing had been."""

import errno
import functools
import hashlib
import itertools
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import ImageFolder

import corner
import twostep  # noqa: F401  # registers the method
from crashed import ByChance, Killed, Model, NamesFirst, OnlyWhatIsSafe, lay, tree_of
from faulty import Disk, Fault
from restorers import make_restorer
from unpoison import Report, Restorer, SanitizedDataset, Sanitizer
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.attacks.folder import write_poisoned
from unpoison.data.checksums import SUMS, Checked
from unpoison.errors import CacheError, RestorerError, UnpoisonError
from unpoison.samples import write_samples

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
EVERY, FEW = 80, 9
"""One of so many faults is tried, and after one of so many crashes the work is done again: of a whole run, and of what
takes less. With 1 all are."""
ARRAYS = ("score", "flagged", "kind", "action", "label", "original_label", "quality")


@pytest.fixture
def photos(images_and_labels, tmp_path):
    corner.image_folder(*images_and_labels, tmp_path / "photos")
    # What changed a moment ago is read again, so that the places would depend on the clock.
    for path in (tmp_path / "photos").rglob("*.*"):
        os.utime(path, (0, 0))
    return ImageFolder(tmp_path / "photos")


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """What takes long and writes nothing is left out, and processes that left something are taken for ended ones."""
    monkeypatch.setattr("unpoison.html.page.render", lambda report: "<title>unpoison report</title>")
    monkeypatch.setattr("unpoison.sanitizer.free_cores", nullcontext)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("unpoison.data.files._alive", lambda pid: False)


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


RESTORERS = [make_restorer(seed) for seed in range(2)]


def export(photos, disk, restorer=0, **options):
    """Cleans into the cache on a disk, and from there into a folder on it."""
    sanitizer = Sanitizer(
        "twostep", restorer=RESTORERS[restorer], cache_dir=disk / "cache", device="cpu", progress=False, **options
    )
    sanitizer.export(photos, disk / "out")


def content(folder):
    """Of an export: what is served, and all of its files whose bytes say no times."""
    served = SanitizedDataset.from_shards(folder)
    report, digest = served.report, hashlib.sha256()
    for image, label in served:
        digest.update(np.array(image).tobytes() + bytes([label]))
    for name in ARRAYS:
        digest.update(np.ascontiguousarray(getattr(report, name)).tobytes())
    Checked(folder / "restorer").check_all()
    files = [*folder.glob("shard-*.tar"), *(folder / "restorer").iterdir(), folder / "index.npy", folder / "_info.json"]
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def old_and_new(photos, disk):
    """What a disk holds with an older export on it, and the contents of that one and of the next."""
    export(photos, disk)
    new = content(disk / "out")
    export(photos, disk, restorer=1, on_poison="keep")
    shutil.rmtree(disk / "cache")
    return tree_of(disk), content(disk / "out"), new


def failing(disk, before, fault, work, **options):
    """Does the work on a disk that holds something and fails at a place; returns what it met, and whether it ended."""
    lay(before, disk)
    watched = Disk(disk, fault, **options)
    with watched.watched():
        try:
            work()
        except UnpoisonError as error:
            assert str(disk) in str(error)  # noqa: PT017
            return watched, False
    return watched, True


def faults_of(places):
    """At a full disk, at a broken one, and writes that are cut short."""
    yield from (Fault(place, errno.ENOSPC, lasting=True) for place in range(len(places)))
    yield from (Fault(place, errno.EIO) for place in range(len(places)))
    yield from (Fault(place) for place, (kind, _) in enumerate(places) if kind == "write")


def crashes_of(watched, before):
    """What the disk may hold after each of the calls that were made, once each."""
    model, seen = Model(before), set()
    for number, call in enumerate([None, *watched.calls]):
        if call is not None:
            model.make(call)
        for crash in (Killed(), OnlyWhatIsSafe(), NamesFirst(), ByChance(number)):
            tree = model.tree(crash)
            key = hash(frozenset(tree.items()))
            if key not in seen:
                seen.add(key)
                yield tree


def test_every_write_is_seen(photos, disk, old_and_new):
    before, _, new = old_and_new
    watched, ended = failing(disk, before, None, lambda: export(photos, disk))
    assert ended
    model = Model(before)
    for call in watched.calls:
        model.make(call)
    assert model.tree(Killed()) == tree_of(disk)
    assert content(disk / "out") == new


def test_each_place_can_fail(photos, disk, old_and_new):
    """From an empty cache to an export over an older one."""
    before, old, new = old_and_new
    whole, _ = failing(disk, before, None, lambda: export(photos, disk))
    for fault in itertools.islice(faults_of(whole.places), 0, None, EVERY):
        _, ended = failing(disk, before, fault, lambda: export(photos, disk))
        # Only when the new one is in its place, its name may fail to get to the disk.
        assert content(disk / "out") in ([new] if ended else [old, new]), fault
        export(photos, disk)
        assert content(disk / "out") == new, fault
        assert not list(disk.rglob("*.tmp")), fault


@pytest.mark.parametrize("exchanges", [True, False])
def test_power_can_be_lost_at_each_place(photos, disk, old_and_new, exchanges):
    """A process can be killed there, too: then everything that it wrote is there."""
    before, _, new = old_and_new
    whole, _ = failing(disk, before, None, lambda: export(photos, disk), exchanges=exchanges)
    after = tree_of(disk)
    for number, tree in enumerate(crashes_of(whole, before)):
        check_sums(tree)
        out = below("out", tree)
        # Between two renames there is none: the next call puts the old one back.
        assert out in ([below("out", before), below("out", after)] if exchanges or out else [{}])
        if number % EVERY == 0:
            lay(tree, disk)
            export(photos, disk)
            assert content(disk / "out") == new
            assert not list(disk.rglob("*.tmp"))


def below(name, tree):
    """A folder of a tree, or a file, with what is in it."""
    return {path: content for path, content in tree.items() if Path(path).parts[0] == name}


@functools.cache
def sha256(data):
    return hashlib.sha256(data).hexdigest()


def check_sums(tree):
    """Makes sure that every list of checksums, but for those of folders with temporary names, lists what is there."""
    for path in (Path(path) for path in tree):
        if path.name == SUMS and not any(part.endswith(".tmp") for part in path.parts):
            for line in tree[str(path)].decode().splitlines():
                value, name = line.split("  ")
                assert sha256(tree[str(path.parent / name)]) == value


def test_a_slow_disk(photos, disk, old_and_new):
    before, _, new = old_and_new
    failing(disk, before, None, lambda: export(photos, disk), delay=0.001)
    assert content(disk / "out") == new


def test_what_was_moved_away_is_put_back(photos, disk, old_and_new):
    """Where two names cannot be exchanged, a process was killed between two renames; then the next call fails."""
    before, old, new = old_and_new
    whole, _ = failing(disk, before, None, lambda: export(photos, disk), exchanges=False)
    between = next(tree for tree in crashes_of(whole, before) if not below("out", tree))
    again, _ = failing(disk, between, None, lambda: export(photos, disk))
    place = next(place for place, (_, path) in enumerate(again.places) if path.endswith("/_info.json"))
    _, ended = failing(disk, between, Fault(place, errno.ENOSPC, lasting=True), lambda: export(photos, disk))
    assert not ended
    # Both are whole under the names that they were left with.
    assert content(disk / "out") in (old, new)


def test_a_poisoned_copy(photos, disk):
    data = PoisonedDataset(photos, BadNets(size=2), rate=0.1)
    whole, _ = failing(disk, {}, None, lambda: write_poisoned(data, disk / "own", {}))
    after = tree_of(disk)
    assert all(below("own", tree) in ({}, after) for tree in crashes_of(whole, {}))
    for fault in itertools.islice(faults_of(whole.places), 0, None, FEW):
        failing(disk, {}, fault, lambda: write_poisoned(data, disk / "own", {}))
        if tree_of(disk) != after:
            assert not tree_of(disk)
            write_poisoned(data, disk / "own", {})
            assert tree_of(disk) == after


# What is saved by hand, over what was saved before.


def reports(photos):
    return [Sanitizer("corner", on_poison=what, device="cpu", progress=False).fit(photos) for what in ("drop", "keep")]


def restorers(_):
    return [make_restorer(seed) for seed in range(2)]


def tables(photos):
    return [report.samples() for report in reports(photos)]


SAVED = {
    "restorer": (restorers, lambda restorer, disk: restorer.save_pretrained(disk / "own"), Restorer.from_pretrained),
    "report": (reports, lambda report, disk: report.save(disk / "own"), Report.load),
    "page": (reports, lambda report, disk: report.to_html(disk / "own"), None),
    "table": (tables, lambda table, disk: write_samples(table, disk / "own.csv"), None),
}


@pytest.mark.parametrize("what", SAVED)
def test_what_is_saved_by_hand(what, photos, disk, monkeypatch):
    """It is the old one or the new one, or, of several files, refused, if the disk fails while these are exchanged."""
    monkeypatch.setattr("unpoison.html.page.render", lambda report: f"<title>unpoison report</title>{report.action}")
    make, save, load = SAVED[what]
    old, new = make(photos)
    save(new, disk)
    after = tree_of(disk)
    lay({}, disk)
    save(old, disk)
    before = tree_of(disk)
    whole, _ = failing(disk, before, None, lambda: save(new, disk))
    assert tree_of(disk) == after != before

    def check():
        left = {path: data for path, data in tree_of(disk).items() if ".tmp" not in path}
        if left not in (before, after):
            with pytest.raises((CacheError, RestorerError)):
                load(disk / "own")
        save(new, disk)
        assert tree_of(disk) == after

    for fault in itertools.islice(faults_of(whole.places), 0, None, FEW if what == "report" else 1):
        failing(disk, before, fault, lambda: save(new, disk))
        check()
    if what != "table":  # whose writes are not seen
        for tree in itertools.islice(crashes_of(whole, before), 0, None, FEW if what == "report" else 1):
            lay(tree, disk)
            check()
    else:
        assert [call.kind for call in whole.calls] == ["fsync", "rename", "fsync"]
