"""Settings out of range: one clear error each; the paper's own values."""

import pytest

from unpoison.config import BaBConfig
from unpoison.errors import ConfigError
from unpoison.verification.config import PAPER, VerificationConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decision": "majority"}, "unknown decision 'majority': choose mixture or unanimous"),
        ({"models": 0}, "need models >= 1 and scouts >= 0"),
        ({"scouts": -1}, "need models >= 1 and scouts >= 0"),
        ({"subset": 0.0}, r"subset \(R\) must lie in 0..1"),
        ({"subset": 1.1}, r"subset \(R\) must lie in 0..1"),
        ({"implants": 1.0}, "implants must lie between 0 and 1"),
        ({"alpha": -0.1}, "need alpha >= 0 and weight > 0"),
        ({"weight": 0.0}, "need alpha >= 0 and weight > 0"),
        ({"success": 0.2}, "success must lie in 0.5..1"),
        ({"trigger_size": 0}, "trigger_size must be at least 1"),
        ({"backbone": "vgg"}, "unknown backbone 'vgg': choose one of conv5"),
        ({"width": 0}, "width must be at least 1"),
        ({"explained_classes": -1}, "explained_classes must not be negative"),
        ({"causal_rate": 0.0}, "causal_rate must lie between 0 and 1"),
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
