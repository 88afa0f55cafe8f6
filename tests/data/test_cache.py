"""Keys, locks and files that appear whole or not at all."""

import dataclasses
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from unpoison.data.cache import Cleaned, Manifest, build_once, cache_key, default_root, is_complete, write_manifest
from unpoison.data.checksums import write_sums
from unpoison.data.files import publish_bytes, publishing_folder, remove_leftovers
from unpoison.errors import CacheError


@dataclasses.dataclass(frozen=True)
class Config:
    epochs: int = 3


@dataclasses.dataclass(frozen=True)
class OtherConfig:
    epochs: int = 3


def test_key_depends_on_every_part():
    keys = [
        cache_key(content="a", config=Config(), seed=0),
        cache_key(content="b", config=Config(), seed=0),
        cache_key(content="a", config=Config(4), seed=0),
        cache_key(content="a", config=OtherConfig(), seed=0),
        cache_key(content="a", config=Config(), seed=1),
    ]
    assert len(set(keys)) == 5
    assert cache_key(seed=0, config=Config(), content="a") == keys[0]


def test_default_root(monkeypatch, tmp_path):
    assert default_root() == tmp_path / "cache"
    monkeypatch.delenv("UNPOISON_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "unpoison"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == Path.home() / ".cache" / "unpoison"


def test_one_builds_and_the_others_wait(tmp_path):
    built = []

    def build():
        time.sleep(0.3)
        built.append(1)

    threads = [threading.Thread(target=build_once, args=(tmp_path, "k", lambda: bool(built), build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]


def test_a_failed_build_can_be_repeated(tmp_path):
    attempts = []

    def build():
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        build_once(tmp_path, "k", lambda: len(attempts) > 1, build)
    build_once(tmp_path, "k", lambda: len(attempts) > 1, build)
    assert len(attempts) == 2


def test_a_run_without_manifest_is_not_served(tmp_path):
    assert not is_complete(tmp_path)
    with pytest.raises(CacheError, match="no complete result"):
        Cleaned(tmp_path)
    for part in ("outcome", "shards"):
        (tmp_path / part).mkdir()
        write_sums(tmp_path / part, [])
    facts = {"levels": (1, 255), "names": None, "text_labels": False, "keys": (0, 1), "store": None, "timings": {}}
    write_manifest(tmp_path, Manifest(shards=[], unreadable=0, **facts))
    assert is_complete(tmp_path)


def test_folders_appear_whole(tmp_path):
    def fail():
        with publishing_folder(tmp_path / "a") as temporary:
            (temporary / "file").write_text("half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert list(tmp_path.iterdir()) == []
    with publishing_folder(tmp_path / "a") as first, publishing_folder(tmp_path / "a") as second:
        (first / "file").write_text("first")
        (second / "file").write_text("second")
    assert (tmp_path / "a" / "file").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_only_leftovers_of_ended_processes_are_removed(tmp_path):
    ended, host = 2**22 + 1, socket.gethostname()
    stale = tmp_path / f"a.{host}.{ended}.0.tmp"
    live = tmp_path / f"a.{host}.{os.getpid()}.0.tmp"
    foreign = tmp_path / f"a.elsewhere.{ended}.0.tmp"
    for path in (stale, live, foreign):
        path.mkdir()
    publish_bytes(tmp_path / "b", b"x")
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {live.name, foreign.name, "b"}
