"""The triggers of the sets."""

import numpy as np
import pytest

from bench_results import needs_images
from unpoison.errors import DatasetError
from unpoison_bench.false_alarms.triggers import TRIGGERS, make_attack


@needs_images
@pytest.mark.parametrize("name", [name for name in TRIGGERS if name not in ("issba", "composite", "adaptive_blend")])
def test_triggers_show_and_are_the_same_every_time(name):
    attack = make_attack(name)
    images = np.random.default_rng(0).integers(60, 200, (6, 32, 32, 3), dtype=np.uint8)
    stamped = attack(images)
    assert (stamped != images).any((1, 2, 3)).all()
    assert (make_attack(name)(images) == stamped).all()
    clean_label = {"sig", "refool", "reflections", "sine_mask", "narcissus"}
    assert attack.clean_label == (name in clean_label or name.endswith("clean_label"))


@needs_images
def test_published_triggers_lie_where_they_belong():
    images = np.full((1, 32, 32, 3), 100, np.uint8)
    changed = {
        name: (make_attack(name)(images) != images).any(3)[0] for name in ("trojan_square", "bomb", "firefox_corner")
    }
    assert not changed["trojan_square"][:16].any()
    assert changed["bomb"][24:, 24:].any()
    assert not changed["bomb"][:24].any()
    assert not changed["firefox_corner"][16:].any()
    weak = make_attack("narcissus")
    strong = weak.at_test(images, np.zeros(1, np.int64))
    assert np.abs(strong(images).astype(int) - 100).max() > np.abs(weak(images).astype(int) - 100).max()


def test_missing_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("UNPOISON_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=r"cifar10/train\.parquet"):
        make_attack("hello_kitty")
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "train.parquet").touch()
    with pytest.raises(DatasetError, match=r"triggers/backdoorbench_blended/hello_kitty\.jpeg"):
        make_attack("hello_kitty")
