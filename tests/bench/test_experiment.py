"""What all experiments have in common."""

import pytest

from bench_results import put
from unpoison.errors import ConfigError
from unpoison_bench.experiment import Unit, choose, publish_folders

NAMES = ["badnets 1 %", "badnets 0.1 %", "blend 1 %", "clean"]


def test_rows_come_in_the_order_in_which_they_are_named():
    assert choose(NAMES, None) == NAMES
    assert choose(NAMES, ["clean", "badnets 1 %"]) == ["clean", "badnets 1 %"]
    assert choose(NAMES, ["clean", "* 1 %", "c*"]) == ["clean", "badnets 1 %", "blend 1 %"]
    with pytest.raises(ConfigError, match="unknown row 'sig': choose among badnets 1 %, "):
        choose(NAMES, ["clean", "sig"])


def test_a_unit_is_done_when_its_file_holds_all_that_is_wanted(tmp_path):
    unit = Unit("a", "a", tmp_path / "a.json", lambda: None, dict)
    assert not unit.done
    put(tmp_path, "a", {"tpr": 1})
    assert unit.done
    assert unit._replace(keys=("tpr",)).done
    assert not unit._replace(keys=("tpr", "asr")).done


def test_pages_show_what_each_folder_holds(tmp_path):
    folders = {seed: tmp_path / f"some-seed{seed}" for seed in (0, 1, 2)}
    put(folders[0], "b", {"x": 1})
    put(folders[0], "a", {"x": 2})
    put(folders[2], "a", {"x": 3})
    published = publish_folders(folders, ["a", "b", "c"], lambda seed, rows: f"{seed}: {[row['x'] for row in rows]}")
    assert published.facts == [{"x": 2}, {"x": 1}, {"x": 3}]
    assert published.text == "0: [2, 1]\n2: [3]"
    assert (tmp_path / "some-seed0.md").read_text() == "0: [2, 1]"
    assert not (tmp_path / "some-seed1.md").exists()
