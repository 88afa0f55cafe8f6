"""All experiments by name."""

import pytest

from unpoison.errors import ConfigError
from unpoison_bench.experiments import EXPERIMENTS, get_experiment
from unpoison_bench.names import NAMES, SCALE_NAMES
from unpoison_bench.scales import SCALES, get_scale


def test_names_for_the_command_line_are_those_that_exist():
    assert tuple(EXPERIMENTS) == NAMES
    assert tuple(SCALES) == SCALE_NAMES
    for wrong in (lambda: get_experiment("pdautor-table99"), lambda: get_scale("huge")):
        with pytest.raises(ConfigError, match="choose one of"):
            wrong()


def test_options_change_an_experiment():
    assert get_experiment("core", preset="fast").preset == "fast"
    assert get_experiment("core").preset == "default"
    with pytest.raises(ConfigError, match="--scale is not for core: leave it out"):
        get_experiment("core", preset="fast", scale="cpu")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_all_experiments_name_their_units_alike(name, tmp_path):
    experiment = get_experiment(name, out=tmp_path, seeds=(0, 1), device="cuda:0")
    rows = experiment.rows[::-1][:3]
    units = experiment.units(rows)
    # In the order that was asked for, one seed after the other.
    assert list(dict.fromkeys(unit.row for unit in units)) == rows
    assert ["seed0" in unit.name for unit in units] == [True] * (len(units) // 2) + [False] * (len(units) // 2)
    for unit in units:
        assert unit.path.is_relative_to(tmp_path)
        assert "cuda0" in str(unit.path.relative_to(tmp_path))
        assert not unit.done
