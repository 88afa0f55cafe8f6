import pytest

from unpoison.errors import ConfigError
from unpoison.restoration import PAPER, RestorationConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"supervised_steps": -1},
        {"cyclegan_epochs": -1},
        {"cyclegan_max_steps": 0},
        {"batch_size": 0},
        {"width": 0},
        {"transformer_depth": -1},
        {"granularities": 4},
        {"learning_rate": 0.0},
        {"cycle_weight": -1.0},
        {"min_confidence": 1.5},
        {"max_pull": 0.0},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RestorationConfig(**wrong)


def test_the_paper_preset_is_the_papers():
    assert (PAPER.cyclegan_epochs, PAPER.learning_rate, PAPER.batch_size) == (100, 1e-4, 64)
    assert not PAPER.use_estimate
