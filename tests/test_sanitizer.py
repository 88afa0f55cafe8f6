"""The pipeline object and `datasets.map`."""

import dataclasses
import pickle
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from datasets.fingerprint import Hasher
from PIL import Image

import corner
import twostep
from restorers import make_restorer
from unpoison import Report, Restorer, Sanitizer, rules, sanitize
from unpoison.data.cache import Cleaned
from unpoison.data.change import apply_change
from unpoison.data.checksums import write_sums
from unpoison.data.eight_bit import EightBit
from unpoison.data.store import ImageStore
from unpoison.errors import CacheError, ConfigError, DatasetError
from unpoison.stages import registry

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


@pytest.fixture
def table(images_and_labels, tmp_path):
    """A Hugging Face dataset of PNG files."""
    images, labels = images_and_labels
    paths = [str(tmp_path / f"{number}.png") for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    return datasets.Dataset.from_dict({"image": paths, "label": labels.tolist()}, features=features)


def test_second_fit_opens_the_first_ones_result(pairs, tmp_path):
    log = tmp_path / "log"
    config = corner.CornerConfig(log=str(log))
    first = Sanitizer("corner", config=config).fit(pairs)
    second = Sanitizer("corner", config=config).fit([(image.copy(), label) for image, label in pairs])
    assert log.read_text() == "run\n"
    assert first.timings == second.timings
    np.testing.assert_array_equal(first.action, second.action)
    Sanitizer("corner", config=config, seed=1).fit(pairs)
    Sanitizer("corner", config=config, on_poison="drop").fit(pairs)
    assert log.read_text() == "run\n" * 2  # nothing is found anew for the last


def test_export(pairs, tmp_path):
    report = Sanitizer("corner").export(pairs, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        ".unpoison.json",
        "README.md",
        "SHA256SUMS",
        "index.npy",
        "shard-00000.tar",
        "_info.json",
        "report.html",
        "report.json",
        "report.npz",
        "pictures.npz",
    }
    np.testing.assert_array_equal(Report.load(tmp_path / "out").action, report.action)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="choose another folder"):
        Sanitizer("corner").export(pairs, tmp_path / "file")


def test_a_damaged_restorer_is_not_exported(pairs, cache, tmp_path):
    sanitizer = Sanitizer("corner", restorer=make_restorer())
    sanitizer.fit(pairs)
    (weights,) = cache.glob("runs/*/outcome/restorer/model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CacheError, match=r"model\.safetensors"):
        sanitizer.export(pairs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_restorers_weights_decide_the_key(pairs, cache, tmp_path):
    for seed in (0, 1, 0):
        Sanitizer("corner", restorer=make_restorer(seed)).export(pairs, tmp_path / "out")
    assert len(list(cache.glob("runs/*"))) == 2
    exported = Restorer.from_pretrained(tmp_path / "out" / "restorer").state_dict()
    assert all(torch.equal(exported[name], tensor) for name, tensor in make_restorer(0).state_dict().items())


def test_precision_and_device_decide_the_key(pairs, cache, monkeypatch):
    for precision in ("fp32", "bf16", "fp32"):
        monkeypatch.setattr("unpoison.stages.keys.precision_of", lambda device, precision=precision: precision)
        Sanitizer("corner", device="cpu").fit(pairs)
    assert len(list(cache.glob("runs/*"))) == 2
    monkeypatch.setattr("unpoison.sanitizer.best_device", lambda: torch.device("cuda"))
    Sanitizer("corner").fit(pairs)  # the method of the tests computes nothing on it
    assert len(list(cache.glob("runs/*"))) == 3


def test_the_network_that_is_chosen_decides_the_key(pairs, cache, monkeypatch):
    for width in (16, 8, 16):
        monkeypatch.setattr("unpoison.stages.keys.default_network", lambda device, width=width: ("resnet9", width))
        Sanitizer("corner", device="cpu").fit(pairs)
    assert len(list(cache.glob("runs/*"))) == 2


def test_the_numbers_that_decide_are_in_the_key(pairs, cache, monkeypatch):
    for value in (rules.CLUSTER_EVIDENCE, 9.9, rules.CLUSTER_EVIDENCE):
        monkeypatch.setattr(rules, "CLUSTER_EVIDENCE", value)
        Sanitizer("corner", device="cpu").fit(pairs)
    assert len(list(cache.glob("runs/*"))) == 2


def test_versions_that_write_another_format_keep_apart(pairs, cache, monkeypatch):
    Sanitizer("twostep").fit(pairs)
    monkeypatch.setattr("unpoison.sanitizer.FORMATS", (99,))
    Sanitizer("twostep").fit(pairs)
    assert len(list(cache.glob("runs/*"))) == 2
    assert kept(cache) == {"runs": 2, "restores": 1, "finds": 1, "stores": 1}
    monkeypatch.setitem(registry._STAGES, "twostep-restore", dataclasses.replace(twostep.RESTORE, format=99))
    monkeypatch.setattr("twostep.RESTORE", registry._STAGES["twostep-restore"])
    Sanitizer("twostep").fit(pairs)
    assert kept(cache) == {"runs": 3, "restores": 2, "finds": 1, "stores": 1}
    monkeypatch.setattr("unpoison.working_copy.STORE_FORMAT", 99)
    Sanitizer("twostep", seed=1).fit(pairs)
    assert kept(cache) == {"runs": 4, "restores": 3, "finds": 2, "stores": 2}


def test_stages_of_others_leave_the_key_alone(pairs, cache, monkeypatch):
    Sanitizer("twostep").fit(pairs)
    monkeypatch.setitem(registry._STAGES, "other", dataclasses.replace(twostep.RESTORE, name="other"))
    Sanitizer("twostep").fit(pairs)
    assert len(list(cache.glob("runs/*"))) == 1


def test_working_size_is_a_setting(cache):
    images = np.random.default_rng(0).integers(0, 255, (20, 100, 80, 3), np.uint8)
    pairs = [(Image.fromarray(image), n % 2) for n, image in enumerate(images)]
    for side in (64, 100, 8):
        report = Sanitizer("twostep", max_side=side, device="cpu").fit(pairs)
        assert report.config["max_side"] == side
    sizes = {ImageStore.open(folder).images.shape[1:3] for folder in cache.glob("stores/*")}
    assert sizes == {(64, 51), (100, 80), (8, 8)}
    assert kept(cache) == {"runs": 3, "restores": 3, "finds": 3, "stores": 3}
    Sanitizer("twostep", max_side=100, device="cpu").fit(pairs)
    assert kept(cache)["runs"] == 3


@pytest.mark.parametrize("side", [7, 257, 64.0])
def test_working_size_that_cannot_be(side):
    with pytest.raises(ConfigError, match=rf"max_side={side}: "):
        Sanitizer(max_side=side)


def kept(cache):
    places = {"runs": "runs", "restores": "stages/twostep-restore", "finds": "stages/twostep-find", "stores": "stores"}
    return {name: len(list(cache.glob(f"{place}/*"))) for name, place in places.items()}


def test_a_run_of_a_newer_version_is_refused(pairs, cache, monkeypatch):
    """It is neither read nor made again, where the key did not keep it apart."""
    Sanitizer("twostep").fit(pairs)
    (run,) = cache.glob("runs/*")
    manifest = run / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 3', '"format": 99'))
    write_sums(run, ["manifest.json"])
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for call in (lambda: Cleaned(run), lambda: Sanitizer("twostep").fit(pairs)):
        with pytest.raises(CacheError, match=r"manifest\.json was written by a newer unpoison: upgrade the package"):
            call()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_an_index_of_another_version_is_not_read(table, cache, monkeypatch):
    from unpoison.data import index

    Sanitizer("corner").fit(table)
    monkeypatch.setattr(index, "FORMAT", 99)
    (path,) = cache.glob("index/*")
    assert Sanitizer("corner").fit(table).content
    with np.load(path) as arrays:
        assert arrays["format"] == 99


def test_shards_of_another_outcome_are_not_kept(pairs, cache):
    """The decision is lost, is made again and is another one, as it may be on a GPU; the shards were finished."""
    Sanitizer("corner").fit(pairs)
    (run,) = cache.glob("runs/*")
    shutil.rmtree(run / "outcome")
    shutil.rmtree(cache / "stages")
    (shard,) = run.glob("shards/*.tar")
    made = shard.stat().st_ino
    Sanitizer("corner").fit(pairs)
    assert shard.stat().st_ino != made


def test_store_is_shared_between_runs(pairs, cache):
    for seed in range(2):
        Sanitizer("corner", seed=seed).fit(pairs)
    assert len(list(cache.glob("stores/*"))) == 1
    assert len(list(cache.glob("runs/*"))) == 2


def test_map(table, images_and_labels):
    sanitizer = Sanitizer("corner")
    report = sanitizer.fit(table)
    cleaned = table.map(sanitizer, batched=True, with_indices=True, batch_size=7, features=None)
    assert cleaned["unpoison_action"][:] == report.action.tolist()
    assert cleaned["unpoison_score"][:] == report.score.tolist()
    assert cleaned.features["label"] == table.features["label"]
    assert isinstance(cleaned.features["image"], datasets.Image)
    repaired = corner.repaired(images_and_labels[0])
    raw = table.cast_column("image", datasets.Image(decode=False))
    written = cleaned.cast_column("image", datasets.Image(decode=False))
    for row, action in enumerate(report.action):
        if action == "restore":
            np.testing.assert_array_equal(np.array(cleaned[row]["image"]), repaired[row])
            assert cleaned[row]["label"] == row % 3
        elif action == "keep":
            source = raw[row]["image"]
            data = written[row]["image"]["bytes"] or Path(source["path"]).read_bytes()
            assert data == Path(source["path"]).read_bytes()
            assert cleaned[row]["label"] == table[row]["label"]
    kept = cleaned.filter(lambda row: row["unpoison_action"] != "drop")
    assert len(kept) == 23


def test_map_in_processes(table):
    sanitizer = Sanitizer("corner")
    sanitizer.fit(table)
    cleaned = table.map(sanitizer, batched=True, with_indices=True, num_proc=2)
    assert cleaned["unpoison_action"][:] == sanitizer.cleaned.report.action.tolist()


def test_hash_is_the_same_after_a_call(table):
    sanitizer = Sanitizer("corner")
    sanitizer.fit(table)
    before = Hasher.hash(sanitizer), pickle.dumps(sanitizer)
    sanitizer(table[:5], list(range(5)))
    assert (Hasher.hash(sanitizer), pickle.dumps(sanitizer)) == before
    again = pickle.loads(before[1])
    assert again(table[:5], list(range(5)))["unpoison_action"] == ["keep"] * 3 + ["restore", "keep"]


def test_map_needs_a_fit_on_the_same_data(table, pairs):
    with pytest.raises(ConfigError, match="call fit"):
        Sanitizer("corner")(table[:3], [0, 1, 2])
    sanitizer = Sanitizer("corner")
    sanitizer.fit(table)
    with pytest.raises(DatasetError, match="fitted"):
        sanitizer({"image": [1], "label": [2]}, [24])


def test_array_columns(images_and_labels):
    images, labels = images_and_labels
    features = datasets.Features({"image": datasets.Array3D((8, 8, 3), "uint8"), "label": datasets.Value("int64")})
    table = datasets.Dataset.from_dict({"image": list(images), "label": labels.tolist()}, features=features)
    sanitizer = Sanitizer("corner")
    sanitizer.fit(table)
    mapped = table.map(sanitizer, batched=True, with_indices=True)
    for cleaned in (mapped, sanitize(table, "corner")):
        np.testing.assert_array_equal(np.array(cleaned[3]["image"]), corner.repaired(images)[3])
        np.testing.assert_array_equal(np.array(cleaned[4]["image"]), images[4])


def test_change_is_carried_over_to_any_size():
    rng = np.random.default_rng(0)
    native = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    before = rng.integers(0, 200, (20, 30, 3), dtype=np.uint8)
    alpha = native[..., 0]
    same = apply_change(EightBit(native, alpha), before, before)
    np.testing.assert_array_equal(same.colour, native)
    assert same.alpha is alpha
    brighter = apply_change(EightBit(native, None), before, before + 50)
    np.testing.assert_array_equal(brighter.colour, np.clip(native.astype(int) + 50, 0, 255))
    np.testing.assert_array_equal(apply_change(EightBit(before, None), before, before + 1).colour, before + 1)
    grey = apply_change(EightBit(native[..., :1], None), before, before + 50)
    assert grey.colour.shape == (40, 60, 1)
