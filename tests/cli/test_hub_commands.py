"""`unpoison push` and `pull`, against a Hub of our own."""

import pytest

import corner  # noqa: F401 (registers the method)
from restorers import make_restorer
from unpoison import SanitizedDataset, Sanitizer
from unpoison.cli import main

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning",  # by the client, of its HTTP library
    "ignore::unpoison.errors.ThinEvidenceWarning",
)


def test_a_restorer(hub, tmp_path, command, refused, capfd):
    make_restorer().save_pretrained(tmp_path / "r")
    assert command("push", tmp_path / "r", "user/name", "--private", "--quiet")[0]["kind"] == "model"
    assert hub.repository("user/name").private
    assert main(["pull", "user/name", str(tmp_path / "again"), "--verbose", "--quiet"]) == 0
    printed, errors = capfd.readouterr()
    assert "user/name@" in printed
    assert "unpoison.hub: using user/name@" in errors
    weights = [(tmp_path / folder / "model.safetensors").read_bytes() for folder in ("r", "again")]
    assert weights[0] == weights[1]
    assert "no such model" in refused(1, "pull", "user/gone", tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
    (tmp_path / "photos").mkdir()
    assert "there are no checksums" in refused(1, "push", tmp_path / "photos", "user/photos")
    assert ("models", "user/photos") not in hub.repositories


def test_a_cleaned_set(hub, pairs, tmp_path, command, refused):
    Sanitizer("corner").export(pairs, tmp_path / "cleaned")
    assert command("push", tmp_path / "cleaned", "user/set")[0]["kind"] == "dataset"
    assert len(SanitizedDataset.from_shards("user/set")) == 23
    shard = tmp_path / "cleaned" / "shard-00000.tar"
    shard.write_bytes(shard.read_bytes()[:1000])
    assert "get it anew" in refused(1, "push", tmp_path / "cleaned", "user/damaged")
    assert ("datasets", "user/damaged") not in hub.repositories
