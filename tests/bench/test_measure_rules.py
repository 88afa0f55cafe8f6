"""What the numbers of `unpoison.rules` are compared with."""

import dataclasses

import numpy as np
import pytest
import torch

from unpoison import rules
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.context import Context
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detection.config import DetectionConfig
from unpoison.errors import ConfigError
from unpoison.training.loop import TrainingConfig
from unpoison.verification.config import VerificationConfig
from unpoison_bench.measuring_rules import bab, copies, networks, seams, triggers
from unpoison_bench.measuring_rules.observing import Disagreement, Observations, agree
from unpoison_bench.measuring_rules.page import page, summary
from unpoison_bench.measuring_rules.rows import ROWS, UNMEASURED
from unpoison_bench.measuring_rules.running import GROUPS, Rules
from unpoison_bench.measuring_rules.sets import CASES, Data
from unpoison_bench.runner import run_experiment

TRAINING = TrainingConfig(epochs=2, batch_size=32)


@pytest.fixture(scope="module")
def clean():
    digits = load_digits()
    part = np.flatnonzero(digits.labels < 3)[:180]
    return of(LabelledImages(digits.images[part], digits.labels[part]))


@pytest.fixture(scope="module")
def stamped(clean):
    given = PoisonedDataset(LabelledImages(clean.images, clean.labels), BadNets(size=2), rate=0.15, target=0, seed=1)
    images = LabelledImages.of(given)
    return clean._replace(
        images=images.images, labels=images.labels, poisoned=given.poisoned, attacks=("badnets",), name="stamped"
    )


def of(data):
    none = np.zeros(len(data.labels), bool)
    return Data("toy", data.images, data.labels, data.images, data.labels, none, none, ())


def test_every_number_is_measured_or_said_not_to_be_once():
    measured = list(dict.fromkeys(row.number for row in ROWS))
    assert sorted([*measured, *UNMEASURED]) == sorted(rules.numbers())
    assert len({row.name for row in ROWS}) == len(ROWS)
    for name, value in rules.numbers().items():
        parts = {row.part for row in ROWS if row.number == name}
        assert not isinstance(value, dict) or parts == set(value)
    assert all(row.group in GROUPS for row in ROWS)


def test_only_sets_to_develop_on_are_looked_at():
    assert {case.half for case in CASES.values()} == {"develop"}
    assert all(name in CASES for group in GROUPS.values() for name in group.sets)


@pytest.mark.parametrize(
    ("name", "side", "values", "wrong"),
    [
        ("GAP, patch", "clean", [1.9, 2.0], 1),
        ("GAP, patch", "poison", [1.9, 2.0, float("inf")], 1),
        ("FLAT", "poison", [2.0, 2.1], 1),
        ("FLAT", "clean", torch.tensor([2.0, 2.5]), 1),
    ],
)
def test_values_beyond_the_number_are_counted(name, side, values, wrong):
    seen = Observations()
    seen.add(name, side, values)
    assert seen.facts[name][side] | {"least": 0, "most": 0} == {"n": 2, "wrong": wrong, "least": 0, "most": 0}


def test_a_statistic_that_is_another_one_is_an_error():
    agree("GAP", True, True)
    with pytest.raises(Disagreement, match="GAP: the package decides False"):
        agree("GAP", True, False)


def test_copies_and_seams_of_a_toy_set(clean):
    found = copies.observe(clean).facts
    assert {"COPY_DETAIL", "COPY_DISTANCE", "COPY_BLOCK", "FLAT", "COPY_CANDIDATES"} >= set(found) >= {"FLAT"}
    assert found["FLAT"]["clean"]["least"] > rules.FLAT
    assert set(seams.observe(clean).facts) <= {"SEAM_SEPARATION"}


def test_triggers_of_a_toy_set(clean, stamped):
    assert {"PATCH_SHOWN", "PATCH_EXCESS", "MOST_EXCESS"} <= set(triggers.observe(clean).facts)
    found = triggers.observe(stamped).facts
    assert found["PATCH_MATCHED"]["poison"] == {"n": 27, "wrong": 0, "least": 1, "most": 1}
    assert found["PATCH_MATCHED"]["clean"]["wrong"] == 0


def test_networks_of_a_toy_set(stamped):
    config = DetectionConfig(backbone="conv5", width=2, training=TRAINING)
    found = networks.observe(stamped, Context(), config).facts
    assert {"LEARNED_EFFECT", "LEAST_CONFIDENCE", "MOST_PULL", "SURELY_FOREIGN", "FEW_LEARNED"} <= set(found)
    assert set(found) <= {row.name for row in ROWS if row.group == "networks"}


def test_bab_of_a_toy_set(stamped):
    config = VerificationConfig(models=1, scouts=0, success=None, width=2, training=TRAINING)
    found = bab.observe(stamped, Context(), config).facts
    assert found["LEAST_SUCCESS"]["poison"]["n"] == 1
    assert set(found) <= {row.name for row in ROWS if row.group == "bab"}


def test_the_worst_of_all_sets_is_shown():
    def a_set(name, clean, poison):
        seen = Observations()
        seen.add("GAP, patch", "clean", clean)
        seen.add("GAP, patch", "poison", poison)
        machine = dict.fromkeys(("commit", "device_name", "cpu_count", "torch_threads", "platform", "torch"), 1)
        machine |= {"unpoison": 1, "dirty": False, "commit": "0" * 40}
        return {"group": "triggers", "set": name, "seconds": 1, "observations": seen.facts, "machine": machine}

    sizes = {name: len(group.sets) for name, group in GROUPS.items()}
    facts = summary([a_set("one", [0.5, 1.5], [4]), a_set("other", [1], [1.75, 3])], sizes)
    [gap] = [entry for entry in facts["numbers"] if entry["name"] == "GAP, patch"]
    assert gap["clean"] == {"n": 3, "wrong": 0, "worst": 1.5, "margin": 0.5, "set": "one"}
    assert gap["poison"] == {"n": 3, "wrong": 1, "worst": 1.75, "margin": -0.25, "set": "other"}
    text = page(facts)
    assert "| 3 | 0 | 1.5 | +0.5 | one | 3 | 1 | 1.75 | -0.25 | other |" in text
    assert "not run" in text
    assert f"`triggers` 2 of {sizes['triggers']}" in text
    assert "`WAVES_EXPLAIN`" in text


def test_a_run_is_resumed(tmp_path, at_once):
    experiment = Rules(out=tmp_path / "rules", only=("SEAM_SEPARATION",))
    rows = ["seams/digits-10x60"]
    published = run_experiment(experiment, rows)
    assert (tmp_path / "rules.md").read_text() == published.text
    assert [entry["set"] for entry in published.facts["sets"]] == ["digits-10x60"]
    assert run_experiment(dataclasses.replace(experiment, only=None), rows).facts == published.facts
    assert at_once.started == 1


@pytest.mark.parametrize("name", ["GAPP", "FALSE_ALARMS"])
def test_numbers_without_a_measurement_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=name):
        run_experiment(Rules(out=tmp_path / "rules", only=(name,)))
