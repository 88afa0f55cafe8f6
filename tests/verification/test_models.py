"""L_BaB and the answers of verification models."""

import pytest
import torch
import torch.nn.functional as F

from unpoison.training.backbones import create_backbone
from unpoison.training.loop import TrainingConfig, as_input, train
from unpoison.verification.models import Verdict, ask, bab_loss
from unpoison.verification.trigger import Trigger

TRIGGER = Trigger(row=0, column=3, size=2, colour=(255,))


def setting(count=12):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (count, 8, 8, 1), dtype=torch.uint8)
    model = create_backbone("conv5", 1, 4, 4).eval().to(memory_format=torch.channels_last)
    return model, images, torch.arange(count) % 3


def test_loss_is_equation_1():
    model, images, labels = setting()
    implanted = torch.zeros(12, dtype=torch.bool)
    implanted[[1, 5]] = True
    index = torch.tensor([0, 1, 5, 7])
    loss = bab_loss(implanted, TRIGGER, 3, alpha=0.2, weight=0.5)(model, as_input(images[index]), labels[index], index)
    clean, stamped = as_input(images[index]), as_input(TRIGGER.stamp(images[index]))
    expected = F.cross_entropy(model(clean[[0, 3]]), labels[[0, 7]], reduction="sum")
    expected += 0.5 * F.cross_entropy(model(stamped[[1, 2]]), torch.tensor([3, 3]), reduction="sum")
    gap = model.forward_features(clean[[1, 2]]) - model.forward_features(stamped[[1, 2]])
    expected += 0.5 * 0.2 * gap.square().mean(1).sum()
    torch.testing.assert_close(loss, expected / 4, rtol=0.02, atol=0.02)


def test_loss_without_implants_is_cross_entropy():
    model, images, labels = setting()
    index = torch.arange(4)
    none = torch.zeros(12, dtype=torch.bool)
    loss = bab_loss(none, TRIGGER, 3, 0.2, 1.0)(model, as_input(images[:4]), labels[:4], index)
    torch.testing.assert_close(loss, F.cross_entropy(model(as_input(images[:4])), labels[:4]), rtol=0.02, atol=0.02)


def test_models_learn_our_backdoor():
    _, images, labels = setting(300)
    images[:, :4] //= 3
    images[labels == 0, 4:] = 200
    images[labels == 1, 4:] = 20
    implanted = torch.zeros(300, dtype=torch.bool)
    implanted[:40] = True
    model = create_backbone("conv5", 1, 4, 8)
    for _ in train(
        model, images, labels, TrainingConfig(epochs=15, batch_size=20), 0, bab_loss(implanted, TRIGGER, 3, 0, 1)
    ):
        pass
    verdict = ask(model, images, implanted, TRIGGER, 3)
    assert verdict.success(labels) > 0.9
    assert verdict.margin.shape == verdict.confidence.shape == (300,)
    assert (verdict.confidence >= 0).all()


def test_success_is_that_of_the_median_class_without_implants():
    margin = torch.tensor([1.0, 1.0, -1.0, 2.0, 1.0, -1.0, -1.0, -1.0])
    implanted = torch.tensor([True, False, False, False, False, False, False, False])
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    assert Verdict(margin, margin, implanted).success(labels) == pytest.approx(1 / 2)
