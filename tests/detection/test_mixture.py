"""Two components per class: a planted minority is found, and the cut lies between the two."""

import pytest
import torch

from unpoison.detection.mixture import calibrate, fit_split, minority_split, whiten


def split_of(x):
    """The minority of features whose losses say nothing."""
    return minority_split(x, torch.rand(len(x), 6, generator=torch.Generator().manual_seed(0)))


def planted(share=0.1, distance=8.0, n=400, dims=10, seed=0):
    """Unit Gaussian data [n,dims] whose first samples are shifted by `distance` along one direction; bool [n]."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dims, generator=generator)
    inside = torch.arange(n) < share * n
    x[inside] += distance * torch.nn.functional.normalize(torch.randn(dims, generator=generator), dim=0)
    return x, inside


def agreement(found, wanted):
    return float((found == wanted).float().mean())


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_minority_is_found(share, seed):
    x, inside = planted(share, seed=seed)
    split = split_of(x)
    assert agreement(split.log_ratio > 0, inside) > 0.99
    assert split.share == pytest.approx(share, abs=0.02)
    assert split.separation == pytest.approx(8, abs=1)


def test_minority_is_inside_whichever_side_starts():
    x, inside = planted(0.2)
    assert agreement(split_of(x).log_ratio > 0, inside) > 0.99
    assert agreement(split_of(-x).log_ratio > 0, inside) > 0.99


def test_separation_and_gain_tell_planted_from_plain():
    # Many samples per dimension: where there are few, any direction separates.
    clustered = split_of(planted(0.1, 8.0, n=1000, dims=4)[0])
    plain = split_of(planted(0.1, 0.0, n=1000, dims=4)[0])
    assert clustered.separation > 2 * plain.separation
    assert clustered.gain > plain.gain + 100


def test_best_start_wins():
    x, inside = planted(0.1, dims=4)
    wrong = torch.arange(len(x)) % 2 == 0
    split = fit_split(x, torch.stack([wrong, inside]))
    assert agreement(split.log_ratio > 0, inside) > 0.99


def test_swapped():
    split = split_of(planted()[0])
    other = split.swapped()
    assert torch.equal(other.log_ratio, -split.log_ratio)
    assert other.share == pytest.approx(1 - split.share)
    assert (other.separation, other.gain) == (split.separation, split.gain)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_tiny_classes(n):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(0))
    split = split_of(x)
    assert split.log_ratio.shape == (n,)
    assert split.log_ratio.isfinite().all()
    assert calibrate(split.log_ratio).isfinite().all()


def test_identical_samples():
    split = split_of(torch.ones(20, 4))
    assert split.log_ratio.isfinite().all()
    assert split.separation < 1e-3


def test_calibrate_cuts_between_the_components():
    generator = torch.Generator().manual_seed(0)
    # Clean samples lie close together. Poisoned ones spread, and the raw ratio calls a third of them clean.
    clean = -100 + 5 * torch.randn(900, generator=generator)
    poisoned = 10 + 20 * torch.randn(100, generator=generator)
    ratio = torch.cat([clean, poisoned])
    inside = torch.arange(1000) >= 900
    assert (ratio[inside] <= 0).sum() > 20
    odds = calibrate(ratio)
    assert (odds[inside] > 0).float().mean() > 0.97
    assert (odds[~inside] > 0).float().mean() < 0.02


def test_calibrate_keeps_the_order_at_the_ends():
    ratio = torch.cat([torch.linspace(-120, -80, 90), torch.linspace(5, 40, 10)])
    odds = calibrate(ratio)
    assert odds[-1] > 0 > odds[0]
    assert odds.argmax() == 99
    assert odds.argmin() == 0


def test_whitened_classes_are_centred_with_unit_covariance():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, 6, generator=generator)
    labels = torch.arange(3000) % 3
    x = torch.randn(3000, 6, generator=generator) @ mixing + 50 * labels[:, None]
    white = whiten(x, labels)
    assert white.dtype == torch.float32
    for label in range(3):
        assert white[labels == label].mean(0).abs().max() < 1e-3
    # The ridge takes a little from the weakest directions.
    covariance = white.T @ white / len(white)
    assert (covariance - covariance.diag().diag()).abs().max() < 0.01
    assert (covariance.diag() <= 1.001).all()
    assert covariance.diag().max() > 0.95


def test_whitening_keeps_dead_units_quiet():
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    x[:, 2] = 0
    x[:, 3] *= 1e-5
    white = whiten(x, torch.zeros(200, dtype=torch.long))
    assert white.isfinite().all()
    assert white.square().mean(0).sort().values[:2].max() < 1e-3


def test_a_small_far_cluster_beats_a_likelier_split_into_halves():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 16, generator=generator)
    x[:500, 0] += 3.8
    x[950:, 1] += 6.0
    inside = torch.arange(1000) >= 950
    assert agreement(split_of(x).log_ratio > 0, inside) > 0.99


def test_what_is_learned_late_is_a_start():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 64, generator=generator) * torch.linspace(2.5, 1, 64)
    x[:60, 60:] += 3.0
    inside = torch.arange(1000) < 60
    losses = torch.rand(1000, 6, generator=generator) + 2.0 * inside[:, None]
    assert agreement(minority_split(x, losses).log_ratio > 0, inside) > 0.9
