"""Verifiers that go on from what they know."""

import torch

from unpoison.context import Context
from unpoison.detection.choice import Choice
from unpoison.detection.verifier import go_on, opinion, verify, verify_again
from unpoison.progress import Bar
from unpoison.training.loop import TrainingConfig, predict

CHOICE = Choice("conv5", 4, TrainingConfig(epochs=8, batch_size=20), [])


def data():
    """Noise whose brightness is the class: uint8 [240,8,8,1] and int64 [240]."""
    labels = torch.arange(240) % 3
    noise = torch.randint(0, 60, (240, 8, 8, 1), generator=torch.Generator().manual_seed(0))
    return (labels[:, None, None, None] * 80 + noise).to(torch.uint8), labels


def test_a_network_that_goes_on_takes_few_epochs_and_leaves_the_first_alone():
    x, y = data()
    fractions = []
    verifier = verify(x, y, torch.arange(240) < 150, 3, CHOICE, Context())
    before = predict(verifier.model, x).logits
    model = go_on(verifier.model, x, y, CHOICE, 0.3, Context(seed=1, running=Bar(fractions.append)))
    assert len(fractions) == 3  # of 8 epochs
    assert torch.equal(predict(verifier.model, x).logits, before)
    assert (predict(model, x).logits.argmax(1) == y).float().mean() > 0.95


def test_what_was_learned_adds_up():
    x, y = data()
    verifier = verify(x, y, torch.arange(240) < 150, 3, CHOICE, Context())
    taught = verify_again(verifier, x, y, torch.arange(240) >= 120, CHOICE, Context())
    assert verifier.learned.sum() == 150
    assert taught.learned.all()
    said = opinion(taught, x, CHOICE)
    assert said.shape == (240, 3)
    assert torch.allclose(said.sum(1), torch.ones(240), atol=1e-3)
