"""Presets, and wrong arguments: one error that lists the choices."""

import dataclasses

import pytest

from unpoison import PDAutoRConfig, SanitizedDataset, Sanitizer
from unpoison.errors import ConfigError, UnpoisonError
from unpoison.methods import get_method, list_methods


def test_presets():
    assert PDAutoRConfig.preset("default") == PDAutoRConfig()
    paper, fast = PDAutoRConfig.preset("paper"), PDAutoRConfig.preset("fast")
    assert paper.detection.outliers == "svd"
    assert not paper.restoration.use_estimate
    assert paper.restoration.cyclegan_epochs == 100
    assert fast.detection.training.epochs < paper.detection.training.epochs


def test_configs_are_frozen_and_equal_by_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PDAutoRConfig().detection = None
    assert PDAutoRConfig.preset("fast") == PDAutoRConfig.preset("fast")
    with pytest.raises(TypeError):
        PDAutoRConfig(PDAutoRConfig().detection)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "pdauto"}, "unknown method 'pdauto': choose one of .*pdautor"),
        ({"config": "slow"}, "unknown preset 'slow': choose one of default, paper, fast"),
        ({"config": 3}, "a preset's name or a PDAutoRConfig, got int"),
        ({"on_poison": "delete"}, "on_poison='delete': should be 'restore', 'drop' or 'keep'"),
        ({"device": "gpu9"}, "device 'gpu9' cannot be used"),
    ],
)
@pytest.mark.parametrize("make", [Sanitizer, lambda **arguments: SanitizedDataset([], **arguments)])
def test_wrong_arguments(make, arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make(**arguments)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, UnpoisonError)


def test_methods_describe_themselves():
    assert "pdautor" in list_methods()
    info = get_method("pdautor")
    assert (info.name, info.on_poison, info.config_class) == ("pdautor", "restore", PDAutoRConfig)
    assert "PD-AutoR" in info.source
