"""Room in the cache folder: what goes, what stays, and that it is made again."""

import errno
import json
import os
import pickle
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock

import corner
import twostep
from unpoison import Sanitizer
from unpoison.cli import main
from unpoison.data import pruning
from unpoison.data.pruning import entries, prune
from unpoison.errors import ConfigError

DAY = 86400

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


def clean(pairs, **options):
    sanitizer = Sanitizer("twostep", device="cpu", **options)
    sanitizer.fit(pairs)
    return sanitizer


def kinds(root):
    return [entry.kind for entry in entries(root)]


def age(root, days):
    """Lets everything seem to have been used so long ago."""
    for entry in entries(root):
        os.utime(entry.path, (time.time() - days * DAY,) * 2)


@pytest.fixture
def calls():
    twostep.CALLS.clear()
    return twostep.CALLS


def test_everything_is_listed_with_its_size(pairs, cache):
    clean(pairs)
    assert sorted(kinds(cache)) == ["duplicates", "run", "twostep-find", "twostep-restore", "working copy"]
    for entry in entries(cache):
        assert entry.size >= sum(path.stat().st_size for path in entry.path.rglob("*") if path.is_file())
        assert abs(entry.used - time.time()) < 60


def test_what_was_used_last_stays(pairs, cache, calls):
    clean(pairs)
    age(cache, 3)
    clean(pairs, seed=1)
    new = [entry for entry in entries(cache) if entry.used > time.time() - DAY]
    gone = sorted(entry.kind for entry in prune(cache, unused_since=time.time() - DAY))
    assert gone == ["duplicates", "run", "twostep-find", "twostep-restore"]
    # The working copy is that of both.
    assert [entry.path for entry in entries(cache)] == [entry.path for entry in new]
    calls.clear()
    clean(pairs, seed=1)
    assert not calls


def test_what_went_is_made_again(pairs, cache, calls):
    first = clean(pairs).cleaned.report
    assert len(prune(cache, limit=0)) == 5
    assert not kinds(cache)
    calls.clear()
    again = clean(pairs).cleaned.report
    assert calls == ["find", "finish"]
    np.testing.assert_array_equal(again.score, first.score)


def test_no_more_goes_than_has_to(pairs, cache):
    clean(pairs)
    age(cache, 1)
    total = sum(entry.size for entry in entries(cache))
    oldest = entries(cache)[0]
    assert not prune(cache, limit=total)
    assert prune(cache, limit=total - 1) == [oldest]


def test_what_is_served_stays(pairs, cache):
    sanitizer = clean(pairs)
    assert "run" not in [entry.kind for entry in prune(cache, limit=0)]
    assert len(list(sanitizer.cleaned.image_file(0))) > 0
    # As a DataLoader's worker would have it, for whose life the dataset lives.
    worker = pickle.loads(pickle.dumps(sanitizer))
    assert worker.cleaned.image_file(0)
    del sanitizer, worker
    assert [entry.kind for entry in prune(cache, limit=0)] == ["run"]


def test_what_is_made_stays(pairs, cache):
    clean(pairs)
    [found] = [entry for entry in entries(cache) if entry.kind == "twostep-find"]
    with FileLock(cache / "locks" / f"twostep-find-{found.path.name}.lock"):
        prune(cache, limit=0)
        assert kinds(cache) == ["twostep-find"]
    prune(cache, limit=0)
    assert not kinds(cache)


def test_a_disk_without_locks(pairs, cache, monkeypatch):
    clean(pairs)

    def refuse(*_):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(pruning, "fcntl", SimpleNamespace(flock=refuse, LOCK_EX=2, LOCK_NB=4))
    assert prune(cache, limit=0) == []
    age(cache, 2)
    prune(cache, limit=0)
    assert not kinds(cache)


def test_the_index_of_files(images_and_labels, cache, tmp_path):
    clean(corner.image_folder(*images_and_labels, tmp_path / "photos"))
    assert "index" in kinds(cache)
    prune(cache, limit=0)
    assert not kinds(cache)


def test_a_limit_holds_after_each_run(pairs, cache, monkeypatch):
    monkeypatch.setenv("UNPOISON_CACHE_LIMIT", "1kB")
    sanitizer = clean(pairs)
    assert kinds(cache) == ["run"]
    assert sanitizer.cleaned.image_file(0)
    monkeypatch.setenv("UNPOISON_CACHE_LIMIT", "1GB")
    clean(pairs, seed=1)
    assert len(kinds(cache)) == 6


@pytest.mark.parametrize("value", ["much", "-3", ""])
def test_wrong_limits_are_named_before_any_work(pairs, cache, monkeypatch, calls, value):
    monkeypatch.setenv("UNPOISON_CACHE_LIMIT", value)
    with pytest.raises(ConfigError, match=f"UNPOISON_CACHE_LIMIT='{value}' is no size: give it as 20GB"):
        clean(pairs)
    assert not calls


def test_commands(pairs, cache, capsys):
    clean(pairs)
    assert main(["cache", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {entry["kind"] for entry in listed} == {
        "duplicates",
        "run",
        "twostep-find",
        "twostep-restore",
        "working copy",
    }
    assert main(["cache", "prune", "--unused", "1"]) == 0
    assert "0.0 MB  removed" in capsys.readouterr().out
    assert main(["cache", "prune", "--max-size", "0"]) == 0
    out = capsys.readouterr().out
    assert all(entry["path"] in out for entry in listed)
    shutil.rmtree(cache)
    assert main(["cache", "list"]) == 0
    assert "0.0 MB  kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune"], "say what prune removes"),
        (["list", "--max-size", "1GB"], "are of prune"),
        (["prune", "--max-size", "much"], "--max-size='much' is no size"),
        (["prune", "--unused", "-1"], "--unused=-1.0 is no number of days"),
    ],
)
def test_wrong_commands(arguments, message, capsys):
    assert main(["cache", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_what_may_not_be_removed_stays_and_ends_no_run(pairs, cache, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "it is somebody else's")

    monkeypatch.setenv("UNPOISON_CACHE_LIMIT", "1kB")
    monkeypatch.setattr("unpoison.data.pruning.temporary_name", refuse)
    assert clean(pairs).cleaned.image_file(0)
    assert len(kinds(cache)) == 5


def test_opening_again_makes_no_room(pairs, cache, monkeypatch):
    clean(pairs)
    monkeypatch.setenv("UNPOISON_CACHE_LIMIT", "1kB")
    clean(pairs)
    assert len(kinds(cache)) == 5
