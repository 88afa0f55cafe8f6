import pytest
import torch

from unpoison.triggers.statistics import score_log_odds, stamped_log_odds


def test_an_image_far_from_those_with_the_trigger_does_not_show_it_because_they_vary():
    # Strokes of digits where others have none reach far, but not a tenth as far as the stamp.
    calibration = torch.tensor([0.0, 20.0, 40_000.0, 1000.0])
    odds = stamped_log_odds(torch.tensor([0.0, 1000.0, 3000.0, 37_000.0, 40_000.0]), calibration)
    assert (odds > 3).tolist() == [False, False, False, True, True]
    assert (odds < -3).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("spread", [1.0, 0.5])
def test_what_does_not_vary_spreads_as_clean_images_do(spread):
    scores, calibration = torch.linspace(-100, 100, 21), torch.tensor([0.0, 1.0, 10.0, spread])
    assert torch.allclose(stamped_log_odds(scores, calibration), score_log_odds(scores, calibration), atol=1e-3)
