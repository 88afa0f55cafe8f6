"""Settings out of range: one clear error each; the paper's own values."""

import pytest

from unpoison.config import BaBConfig
from unpoison.errors import ConfigError
from unpoison.verification.config import PAPER, VerificationConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decision": "majority"}, "decision='majority': should be 'mixture' or 'unanimous'"),
        ({"models": 0}, "models=0: should be greater than or equal to 1"),
        ({"scouts": -1}, "scouts=-1: should be greater than or equal to 0"),
        ({"subset": 0.0}, "subset=0.0: should be greater than 0"),
        ({"subset": 1.1}, "subset=1.1: should be less than or equal to 1"),
        ({"implants": 1.0}, "implants=1.0: should be less than 1"),
        ({"alpha": -0.1}, "alpha=-0.1: should be greater than or equal to 0"),
        ({"weight": 0.0}, "weight=0.0: should be greater than 0"),
        ({"success": 0.2}, "success=0.2: should be greater than or equal to 0.5"),
        ({"trigger_size": 0}, "trigger_size=0: should be greater than or equal to 1"),
        ({"backbone": "vgg"}, "unknown backbone 'vgg': choose one of conv5"),
        ({"width": 0}, "width=0: should be greater than or equal to 1"),
        ({"explained_classes": -1}, "explained_classes=-1: should be greater than or equal to 0"),
        ({"causal_rate": 0.0}, "causal_rate=0.0: should be greater than 0"),
    ],
)
def test_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        VerificationConfig(**settings)


def test_presets():
    assert BaBConfig.preset("default") == BaBConfig()
    assert BaBConfig.preset("paper").verification == PAPER
    assert (PAPER.models, PAPER.alpha, PAPER.subset, PAPER.training.epochs) == (10, 0.2, 0.5, 5)
    assert (PAPER.training.optimizer, PAPER.training.learning_rate) == ("adam", 0.01)
    with pytest.raises(ConfigError, match="unknown preset 'slow': choose one of default, paper, fast"):
        BaBConfig.preset("slow")
