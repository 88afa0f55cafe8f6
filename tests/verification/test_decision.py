"""From verdicts to a decision, on answers that are made up."""

import pytest
import torch

from unpoison.verification.decision import by_mixture, resistance, unanimous
from unpoison.verification.models import Verdict

N, CLASSES = 2000, 4


def verdicts(poisoned, models=3, strength=6.0, seed=0):
    """Clean samples yield to our trigger by about 3, poisoned ones withstand it and are answered with confidence."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(models):
        margin = 3 + torch.randn(N, generator=generator) - strength * poisoned
        confidence = 4 + torch.randn(N, generator=generator) + strength / 2 * poisoned
        found.append(Verdict(margin, confidence, torch.rand(N, generator=generator) < 0.05))
    return found


@pytest.fixture
def labels():
    return torch.arange(N) % CLASSES


def some(labels, share):
    """A share of class 1."""
    members = (labels == 1).nonzero()[:, 0]
    poisoned = torch.zeros(N)
    poisoned[members[: round(share * len(members))]] = 1
    return poisoned


@pytest.mark.parametrize("share", [0.06, 0.3, 0.5, 0.85])
def test_resisting_minority_is_found(labels, share):
    poisoned = some(labels, share)
    decision = by_mixture(verdicts(poisoned), labels, CLASSES, 4.0, 2)
    assert [entry.label for entry in decision.classes if entry.poisoned] == [1]
    flagged = decision.score > 0
    assert flagged[poisoned == 1].float().mean() > 0.95
    assert flagged[poisoned == 0].float().mean() < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_found_where_nothing_resists(labels, seed):
    decision = by_mixture(verdicts(torch.zeros(N), seed=seed), labels, CLASSES, 4.0, 2)
    assert not any(entry.poisoned for entry in decision.classes)
    assert (decision.score < 0).all()
    assert len(decision.suspects) <= 2


def test_minority_that_yields_more_is_not_poison(labels):
    odd = some(labels, 0.2)
    decision = by_mixture(verdicts(odd, strength=-6.0), labels, CLASSES, 4.0, 0)
    assert not any(entry.poisoned for entry in decision.classes)
    assert decision.suspects == {}


def test_unanimous_rule(labels):
    poisoned = some(labels, 0.3)
    answers = verdicts(poisoned)
    decision = unanimous(answers, labels, CLASSES)
    rule = torch.stack([verdict.margin <= 0 for verdict in answers]).any(0)
    assert torch.equal(decision.score > 0, rule)
    counts = torch.stack([verdict.margin <= 0 for verdict in answers]).sum(0)
    assert decision.score[counts == 2].min() > decision.score[counts == 1].max()


def test_implants_do_not_speak(labels):
    answers = verdicts(torch.zeros(N))
    answers[0].implanted[0], answers[1].implanted[0], answers[2].implanted[0] = True, False, False
    before = resistance(answers)[0]
    answers[0].margin[0] = -50
    assert resistance(answers)[0] == pytest.approx(float(before), abs=1e-3)
