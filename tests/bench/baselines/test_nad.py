"""Neural Attention Distillation on a small network that learned a backdoor."""

import dataclasses

import numpy as np
import pytest
import torch

from unpoison.downstream import measure_model
from unpoison.errors import ConfigError
from unpoison.training.backbones import create_backbone
from unpoison_bench.baselines import nad


def fast(config, epochs):
    """Smaller steps for 135 small images."""
    return dataclasses.replace(config, epochs=epochs, batch_size=16, learning_rate=0.02)


def test_nad_heals_a_backdoored_network(victim):
    cpu = torch.device("cpu")
    before = measure_model(victim.model, victim.test, [victim.attack], 0, device=cpu)
    weights = {name: value.clone() for name, value in victim.model.state_dict().items()}
    part = np.random.default_rng(1).permutation(len(victim.clean))[: len(victim.clean) // 10]
    config = nad.NADConfig(teacher=fast(nad.DEFAULT.teacher, 10), student=fast(nad.DEFAULT.student, 40))
    healed = nad.heal(victim.model, victim.clean.images[part], victim.clean.labels[part], config, device=cpu)
    after = measure_model(healed, victim.test, [victim.attack], 0, device=cpu)
    assert before.attack_success_rate > 0.9
    assert after.attack_success_rate < 0.4
    assert after.accuracy > before.accuracy - 0.1
    assert all(torch.equal(value, weights[name]) for name, value in victim.model.state_dict().items())


def test_attention_by_hand():
    maps = torch.tensor([[[[1.0, 0.0]], [[2**0.5, 2.0]]]])
    # Sums of squares 3 and 4, so the norm is 5.
    assert nad.attention(maps).tolist() == [pytest.approx([0.6, 0.8])]


def test_attention_loss_weighs_stages():
    torch.manual_seed(0)
    student, teacher = (create_backbone("resnet9", 1, 3, 4).eval() for _ in range(2))
    images, labels, index = torch.rand(8, 1, 16, 16), torch.arange(8) % 3, torch.arange(8)

    def loss(taught_by, *betas):
        return float(nad.attention_loss(taught_by, betas)(student, images, labels, index).detach())

    alone = loss(teacher, 0, 0, 0)
    assert loss(student, 500, 1000, 1000) == pytest.approx(alone)
    stages = [loss(teacher, *(1000 * (stage == number) for stage in range(3))) - alone for number in range(3)]
    assert min(stages) > 0
    assert loss(teacher, 1000, 1000, 1000) == pytest.approx(alone + sum(stages), rel=1e-3)


def test_nad_refuses_wrong_input(victim):
    images, labels = victim.clean.images, victim.clean.labels
    for part, answers in ((images[:1], labels[:1]), (images[:5], labels[:4])):
        with pytest.raises(ConfigError, match="need two or more clean images"):
            nad.heal(victim.model, part, answers, device=torch.device("cpu"))
    with pytest.raises(ConfigError, match="betas must not be negative"):
        nad.NADConfig(betas=(1.0, -1.0, 1.0))
