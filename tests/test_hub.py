"""Restorers on the Hub: the real client against a server of our own, and everything that can go wrong in between."""

import json
import pickle
import re
import time
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save

import hub_server
from hub_server import Fault
from listed import relisted
from restorers import make_restorer
from unpoison import Restorer, SanitizedDataset
from unpoison import hub as package_hub
from unpoison.errors import HubError, RestorerError, UnpoisonError
from unpoison.restoration import Card

pytestmark = pytest.mark.filterwarnings(
    "ignore::unpoison.errors.ThinEvidenceWarning",
    "ignore:Use 'content=:DeprecationWarning",  # by the client, of its HTTP library
)
NAME = "user/restorer"


def files_of(restorer, folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in restorer.save_pretrained(folder).iterdir()}


@pytest.fixture
def pushed(hub, tmp_path):
    """A restorer, and its repository."""
    restorer = make_restorer()
    return restorer, hub.add(NAME, files_of(restorer, tmp_path / "pushed"))


def refused(message, name=NAME, **options) -> str:
    """Loading fails with one error of the package, well within 30 seconds."""
    start = time.perf_counter()
    with pytest.raises(UnpoisonError, match=message) as caught:
        Restorer.from_pretrained(name, **options)
    assert time.perf_counter() - start < 10
    return str(caught.value)


def test_push_then_pull_gives_bit_equal_outputs(hub):
    restorer = make_restorer()
    address = restorer.push_to_hub(NAME)
    assert re.fullmatch(rf"{hub.url}/{NAME}/commit/[0-9a-f]{{40}}", address)
    pulled = Restorer.from_pretrained(NAME)
    images = torch.randint(0, 256, (9, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(pulled(images), restorer(images))
    assert not torch.equal(pulled(images), images)
    assert not pulled.training
    assert pulled.origin == f"{NAME}@{address.rsplit('/', 1)[1]}"
    assert set(hub.repository(NAME).commits[hub.repository(NAME).refs["main"]]) == {
        ".gitattributes", "README.md", "SHA256SUMS", "config.json", "model.safetensors",
    }  # fmt: skip


def test_push_again_private(hub):
    make_restorer().push_to_hub(NAME, private=True)
    assert hub.repository(NAME).private
    make_restorer(1).push_to_hub(NAME)
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(Restorer.from_pretrained(NAME)(images), make_restorer(1)(images))


def test_card(hub):
    card = Card(
        trained_on="CIFAR-10 | half of it", dataset="uoft-cs/cifar10", attacks=("BadNets", "Blend"),
        figures={"error": "0.04"}, licence="apache-2.0", limits=("Grey images only.",),
    )  # fmt: skip
    make_restorer(kind="patch").push_to_hub(NAME, card=card)
    read = ModelCard.load(NAME)
    assert read.data.license == "apache-2.0"
    assert read.data.library_name == "unpoison"
    assert read.data.datasets == ["uoft-cs/cifar10"]
    for text in ("CIFAR-10 / half", "BadNets, Blend", "| error | 0.04 |", "- Grey images", "a patch", "8 x 8 pixels"):
        assert text in read.text
    make_restorer().push_to_hub("user/silent")
    silent = ModelCard.load("user/silent")
    assert silent.data.license is None
    assert silent.text.count("not stated") == 3


def test_revisions(hub, tmp_path):
    first, second = make_restorer(1), make_restorer(2)
    repository = hub.add(NAME, files_of(first, tmp_path / "1"))
    old = repository.refs["main"]
    hub.add(NAME, files_of(second, tmp_path / "2"))
    images = torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(Restorer.from_pretrained(NAME)(images), second(images))
    for loaded in (Restorer.from_pretrained(f"{NAME}@{old}"), Restorer.from_pretrained(NAME, revision=old)):
        assert torch.equal(loaded(images), first(images))
        assert loaded.origin == f"{NAME}@{old}"
    refused("no such revision", revision="gone")
    refused("give one of them", f"{NAME}@{old}", revision=old)
    with pytest.raises(RestorerError, match="no revision"):
        Restorer.from_pretrained(tmp_path / "1", revision=old)


def test_the_content_decides_the_key_and_the_report_names_the_commit(pushed, hub, pairs, cache, tmp_path):
    _, repository = pushed
    served = SanitizedDataset(pairs, "corner", restorer=NAME).prepare()
    assert served.report.config["restorer"] == f"{NAME}@{repository.refs['main']}"
    # Other words on the card change nothing; other weights do.
    files = repository.commits[repository.refs["main"]]
    hub.add(NAME, {**files, "README.md": b"other words"})
    SanitizedDataset(pairs, "corner", restorer=NAME).prepare()
    assert len(list(cache.glob("runs/*"))) == 1
    hub.add(NAME, files_of(make_restorer(5), tmp_path / "5"))
    SanitizedDataset(pairs, "corner", restorer=NAME).prepare()
    assert len(list(cache.glob("runs/*"))) == 2


def test_a_prepared_dataset_stays_with_its_commit(pushed, hub, pairs, cache, tmp_path):
    served = SanitizedDataset(pairs, "corner", restorer=NAME).prepare()
    hub.add(NAME, files_of(make_restorer(5), tmp_path / "5"))
    again = pickle.loads(pickle.dumps(served))
    assert again._sanitizer.restorer == served.report.config["restorer"]
    assert len(again) == 23
    assert len(list(cache.glob("runs/*"))) == 1


def test_a_restorer_that_was_changed_after_it_was_pulled_stays_changed(pushed, pairs, cache):
    changed = Restorer.from_pretrained(NAME)
    changed.strength.zero_()
    served = SanitizedDataset(pairs, "corner", restorer=changed).prepare()
    assert pickle.loads(pickle.dumps(served))._sanitizer.restorer.strength == 0
    SanitizedDataset(pairs, "corner", restorer=NAME).prepare()
    assert len(list(cache.glob("runs/*"))) == 2


# What goes wrong on the way.


def test_not_reachable(pushed, hub):
    with hub.down():
        refused("cannot be reached.*check the connection.*local folder")
        with pytest.raises(HubError, match="cannot be reached"):
            make_restorer().push_to_hub(NAME)
    assert hub.waited == []


def test_without_a_connection_the_cached_commit_is_used(pushed, hub):
    restorer, repository = pushed
    Restorer.from_pretrained(NAME)
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    for fault in ([], [Fault("", status=503)], [Fault("", status=429)]):
        hub.faults[:] = fault
        if fault:
            loaded = Restorer.from_pretrained(NAME)
        else:
            with hub.down():
                loaded = Restorer.from_pretrained(NAME)
        assert torch.equal(loaded(images), restorer(images))
        assert loaded.origin == f"{NAME}@{repository.refs['main']}"


def test_no_answer(pushed, hub, monkeypatch):
    monkeypatch.setattr(package_hub, "TIMEOUT", 0.2)
    hub.faults.append(Fault("", hang=2))
    refused("cannot be reached")
    with pytest.raises(HubError, match="cannot be reached"):
        make_restorer().push_to_hub(NAME)


def test_offline(pushed, hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    refused("HF_HUB_OFFLINE is set")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        make_restorer().push_to_hub(NAME)
    assert hub.requests == []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    Restorer.from_pretrained(NAME)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert Restorer.from_pretrained(NAME).origin


def test_missing_and_private(hub, pushed, monkeypatch):
    refused("no such model, or it is private.*hf auth login", "user/gone")
    refused("neither a folder nor the name", "what is this?")
    refused("neither a folder nor the name", "./not/there")
    hub.repository(NAME).private = True
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    refused("private.*hf auth login or set HF_TOKEN".replace("hf auth login", "`hf auth login`"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "private|denied"),
        (403, "access is denied"),
        (404, "Hub"),
        (429, "too many requests: wait"),
        (500, "error 500: try again later"),
        (503, "error 503"),
    ],
)
@pytest.mark.parametrize("match", ["/api/models", "config.json", "model.safetensors"])
def test_refusals(pushed, hub, status, message, match):
    hub.faults.append(Fault(match, status=status))
    refused(message if match == "/api/models" else "on the Hub: ")
    # The client's retries, which these tests skip, would not have taken long.
    assert sum(hub.waited) < 30
    hub.faults.clear()
    Restorer.from_pretrained(NAME)


def test_passing_faults_are_overcome(pushed, hub):
    hub.faults += [Fault("GET /user/restorer/resolve", cut=True, times=2)]
    Restorer.from_pretrained(NAME)


def test_cut_connections(pushed, hub):
    for match in ("/api/models", "config.json", "model.safetensors"):
        hub.faults[:] = [Fault(match, cut=True)]
        refused("on the Hub|damaged")
    assert sum(hub.waited) < 90


def test_a_corrupted_file_is_not_used_and_not_kept(pushed, hub):
    restorer, _ = pushed

    def flip(data):
        return data[:-1] + bytes([data[-1] ^ 1])

    hub.faults.append(Fault("GET /user/restorer/resolve", change=flip))
    refused("damaged|cannot read")
    hub.faults.clear()
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(Restorer.from_pretrained(NAME)(images), restorer(images))


def test_a_cache_that_cannot_be_written(pushed, hub, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    refused("cannot be read or written here.*HF_HOME")


def test_no_hub(pushed, hub):
    hub.faults.append(Fault("/api/models", change=lambda data: b"<html>Please sign in to the Wi-Fi</html>"))
    refused("cannot be reached")


# Mirrors that say less than the Hub.


def test_sizes_that_are_not_listed_are_asked_for(pushed, hub, pairs, tmp_path):
    restorer, repository = pushed
    hub.lists_sizes = False
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(Restorer.from_pretrained(NAME)(images), restorer(images))
    files = repository.commits[repository.refs["main"]]
    hub.add(NAME, {**files, "model.safetensors": files["model.safetensors"] + bytes(3 << 20)})
    hub.requests.clear()
    refused(r"model.safetensors of .* has \d+ bytes where at most \d+ are expected")
    assert "HEAD /user/restorer/resolve" in " ".join(hub.requests)
    assert not any(request.startswith("GET") and "safetensors" in request for request in hub.requests)


def test_without_a_listed_checksum_large_files_are_checked_by_what_the_server_says(pushed, hub):
    hub.lists_sizes = False
    hub.faults.append(Fault("GET /user/restorer/resolve", change=lambda data: data[:-1] + bytes([data[-1] ^ 1])))
    refused("model.safetensors of .* damaged|not the one that SHA256SUMS lists")


def test_a_server_that_says_no_size_at_all(pushed, hub):
    hub.lists_sizes = False
    hub.faults.append(Fault("HEAD /user/restorer/resolve", headers={"Content-Length": ""}))
    refused("does not say how large config.json of user/restorer@.* is.*HF_ENDPOINT")


# What is on the Hub is something else.


def tampered(files, **changes):
    return {**files, "config.json": json.dumps({**json.loads(files["config.json"]), **changes}).encode()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: tampered(f, model_type="bert"), r"\$.model_type"),
        (lambda f: tampered(f, format=99), "newer unpoison: upgrade"),
        (lambda f: tampered(f, format="1"), r"\$.format"),
        (lambda f: tampered(f, generator_width=200, transformer_depth=24, height=256, width=256), "instead of|fit"),
        (lambda f: tampered(f, generator_width=10**9), "1..256"),
        (lambda f: tampered(f, auto_map={"AutoModel": "evil.Model"}), "unknown entries"),
        (lambda f: {**f, "config.json": b"[" * 60000}, "nested too deeply"),
        (lambda f: {k: v for k, v in f.items() if k != "config.json"}, "has no file config.json"),
        (lambda f: {k: v for k, v in f.items() if k != "model.safetensors"}, "has no file model.safetensors"),
        (lambda f: {**f, "model.safetensors": f["model.safetensors"] + bytes(3 << 20)}, "has .* bytes where at most"),
        (lambda f: {**f, "model.safetensors": b"\x80\x04 pickle"}, "cannot read"),
    ],
)
def test_wrong_repositories(hub, tmp_path, change, message):
    hub.add(NAME, relisted(change(files_of(make_restorer(), tmp_path / "r"))))
    refused(message)


def test_nothing_large_is_downloaded_or_built_for_a_wrong_repository(pushed, hub, tmp_path):
    files = files_of(make_restorer(), tmp_path / "r")
    hub.add("user/bert", relisted({**tampered(files, model_type="bert"), "model.safetensors": bytes(1 << 22)}))
    refused(r"\$.model_type", "user/bert")
    hub.add("user/pickle", {"config.json": files["config.json"], "pytorch_model.bin": b"\x80\x04 code"})
    refused("no file SHA256SUMS", "user/pickle")
    hub.add("user/large", {**files, "config.json": b" " * 10**6})
    refused("config.json .* has 1000000 bytes where at most", "user/large")
    assert not any("large/resolve" in request for request in hub.requests)
    assert not any("bert/resolve" in request and "safetensors" in request for request in hub.requests)
    assert not any("pytorch_model.bin" in request for request in hub.requests)


def test_weights_must_fit(hub, tmp_path):
    files = files_of(make_restorer(), tmp_path / "r")
    tensors = load_file(tmp_path / "r" / "model.safetensors")
    hub.add(NAME, relisted({**files, "model.safetensors": save({**tensors, "extra": torch.zeros(1)})}))
    refused("does not fit")
    tensors.pop("strength")
    hub.add(NAME, relisted({**files, "model.safetensors": save(tensors)}))
    refused("does not fit")


# Pushing.


def test_push_without_a_token(hub, monkeypatch):
    monkeypatch.setattr(hub_server, "TOKEN", "another")
    with pytest.raises(HubError, match="access is denied: log in with `hf auth login`"):
        make_restorer().push_to_hub(NAME)


@pytest.mark.parametrize("match", ["POST /api/repos/create", "/preupload/", "PUT /lfs", "/commit/"])
@pytest.mark.parametrize("fault", [{"status": 500}, {"cut": True}, {"status": 403}])
def test_interrupted_push(hub, match, fault):
    hub.faults.append(Fault(match, **fault))
    with pytest.raises(HubError, match="cannot push to user/restorer"):
        make_restorer().push_to_hub(NAME)
    hub.faults.clear()
    make_restorer().push_to_hub(NAME)
    Restorer.from_pretrained(NAME)


def test_wrong_name(hub):
    with pytest.raises(HubError, match="name of a repository"):
        make_restorer().push_to_hub("not a name")


def test_push_folder(hub, tmp_path):
    folder = make_restorer().save_pretrained(tmp_path / "r")
    package_hub.push_folder(folder, NAME, message="Add a restorer")
    assert Restorer.from_pretrained(NAME).architecture == make_restorer().architecture
    assert (
        Path(folder / "README.md").read_bytes()
        == hub.repository(NAME).commits[hub.repository(NAME).refs["main"]]["README.md"]
    )
