"""Stages as text for another process."""

import dataclasses
from pathlib import Path

import pytest
import torch

from unpoison.context import Context
from unpoison.detection.config import FAST, PAPER
from unpoison.errors import ConfigError
from unpoison.restoration import RestorationConfig
from unpoison.settings import parse_config
from unpoison.stages import Job, Stage, get_stage, register_stage, registry, stages
from unpoison.stages.ask import Question
from unpoison.stages.classify import Clean
from unpoison.stages.features import Source
from unpoison.stages.restore import Treatment
from unpoison.verification import config as verification

CONFIGS = {
    "duplicates": None,
    "features": Source("timm/resnet18.a1_in1k"),
    "learn": PAPER.network,
    "detect": FAST,
    "explain": PAPER,
    "verify": verification.PAPER,
    "decide": verification.FAST,
    "combine": None,
    "ask": Question("scan", 0.01),
    "classify": Clean((3, 5)),
    "restore": Treatment(on_poison="drop", restoration=RestorationConfig(max_pull=3), spared=(1,)),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_survive_the_way(name, tmp_path):
    stage, seen = get_stage(name), []
    noting = dataclasses.replace(stage, run=lambda *arguments: seen.append(arguments))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._STAGES, name, noting)
        context = Context(torch.device("cpu"), 7)
        Job.decode(Job.of(stage, {"store": tmp_path}, tmp_path / "out", CONFIGS[name], context).encode()).do()
    [(inputs, out, config, there)] = seen
    assert (inputs, out, config) == ({"store": tmp_path}, tmp_path / "out", CONFIGS[name])
    assert (there.device, there.seed) == (context.device, 7)
    assert isinstance(config, stage.config_class)


def test_all_stages_are_tried():
    assert set(CONFIGS) <= {stage.name for stage in stages()}
    assert len({stage.name for stage in stages()}) == len(stages())
    own = {stage.name for stage in stages() if stage.run.__module__.startswith("unpoison.")}
    assert own == set(CONFIGS)


def job(**changes):
    values = {"stage": "learn", "inputs": {}, "out": "out", "config": {}, "device": "cpu", "seed": 0, **changes}
    return Job(**values)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="unknown stage 'lern': register it"):
        job(stage="lern").do()
    with pytest.raises(ConfigError, match="the configuration of stage learn: width"):
        job(config={"width": 0}).do()
    with pytest.raises(ConfigError, match="device 'warp' cannot be used"):
        job(device="warp").do()
    with pytest.raises(ValueError, match="missing required field"):
        Job.decode(b"{}")


def test_a_stage_is_found_by_its_name(monkeypatch):
    monkeypatch.setattr(registry, "_STAGES", dict(registry._STAGES))
    made = []
    stage = register_stage(
        Stage(name="mine", makes="mine", run=lambda inputs, out, config, context: made.append(out), config_class=int)
    )
    assert get_stage("mine") is stage
    job(stage="mine", config=3).do()
    assert made == [Path("out")]
    assert parse_config(int, "3", "here") == 3
