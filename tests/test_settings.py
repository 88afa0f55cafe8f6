"""Settings as text: files and single values."""

import pytest

from unpoison import BaBConfig, EnsembleConfig, PDAutoRConfig
from unpoison.detectors import BUILT_IN
from unpoison.errors import ConfigError
from unpoison.methods import get_method
from unpoison.settings import with_settings

FAST = PDAutoRConfig.preset("fast")
NAMES = ("pdautor", "bab", "ensemble", *BUILT_IN)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("preset", ["default", "fast", "paper"])
def test_every_configuration_can_be_written_and_read(name, preset, tmp_path):
    (tmp_path / "none.toml").write_text("")
    config = get_method(name).preset(preset)
    assert with_settings(config, tmp_path / "none.toml") == config


def test_values_change_the_file_which_changes_the_preset(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("detection.width = 4\ndetection.false_alarms = 0.1\n[restoration]\nmin_confidence = 1\n")
    config = with_settings(FAST, file, ["detection.width=2", "detection.backbone=conv5"])
    assert (config.detection.width, config.detection.backbone) == (2, "conv5")
    assert (config.detection.false_alarms, config.restoration.min_confidence) == (0.1, 1.0)
    assert config.detection.training == FAST.detection.training
    assert config.restoration.width == FAST.restoration.width


def test_settings_inside_of_what_the_preset_leaves_open():
    config = with_settings(PDAutoRConfig(), None, ["detection.training.epochs=3"])
    assert config.detection.training.epochs == 3
    nested = with_settings(EnsembleConfig(), None, ["bab.verification.models=2"])
    assert nested == EnsembleConfig(bab=with_settings(BaBConfig(), None, ["verification.models=2"]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("detection.width", "--set detection.width is no setting"),
        ("=3", "--set =3 is no setting"),
        ("detection.widht=3", "detection.widht: there is no such setting"),
        ("detection.width=0", "detection.width: should be greater than or equal to 1"),
        ("detection.width=2.5", "detection.width: should be a valid integer"),
        ("detection.width=wide", "detection.width: should be a valid integer"),
        ("detection.backbone=vgg", "unknown backbone 'vgg': choose one of"),
        ("restoration.granularities=7", "granularities: should be 1, 2 or 3"),
        ("detection=3", "detection: "),
    ],
)
def test_wrong_settings_are_named(value, message):
    with pytest.raises(ConfigError) as raised:
        with_settings(FAST, None, [value])
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"--set {value}")


@pytest.mark.parametrize("text", [None, b"width 3", b"\xff\xfe"])
def test_wrong_files_are_named(tmp_path, text):
    file = tmp_path / "settings.toml"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ConfigError, match=r"settings\.toml holds no settings in TOML"):
        with_settings(FAST, file)
