"""Features of PD-AutoR 3.1.4, and the singular-vector score."""

import math

import torch

from unpoison.context import Context
from unpoison.detection.features import fuse, record_training, training_time_feature
from unpoison.detection.svd import svd_scores
from unpoison.training.backbones import create_backbone
from unpoison.training.loop import TrainingConfig, predict


def test_differences_of_consecutive_losses():
    losses = torch.tensor([[3.0, 1.0, 0.5], [2.0, 2.0, 4.0]])
    assert training_time_feature(losses).tolist() == [[-2.0, -0.5], [0.0, 2.0]]


def test_fusion_joins_both_blocks():
    activations, losses = torch.rand(5, 7), torch.rand(5, 4)
    fused = fuse(activations, losses, 2.5)
    assert fused.shape == (5, 7 + 3)
    assert torch.equal(fused[:, :7], activations)
    assert torch.equal(fused[:, 7:], 2.5 * losses.diff(dim=1))
    assert torch.equal(fuse(activations, losses, 0.0)[:, 7:], torch.zeros(5, 3))


def test_record_of_a_training():
    torch.manual_seed(0)
    labels = torch.arange(64) % 3
    images = (labels[:, None, None, None] * 80 + torch.randint(0, 60, (64, 8, 8, 1))).to(torch.uint8)
    model = create_backbone("resnet9", 1, 3, 4)
    record = record_training(model, images, labels, TrainingConfig(epochs=6, batch_size=16), Context())
    assert record.activations.shape == (64, model.num_features)
    assert record.losses.shape == (64, 6)
    assert torch.equal(record.activations, predict(model, images).features)
    assert record.losses.isfinite().all()
    assert record.losses[:, -1].mean() < record.losses[:, 0].mean()


def test_losses_are_those_of_the_training_pass(monkeypatch):
    """Each sample keeps the loss that its batch had; one that the epoch leaves out keeps that of the epoch before."""
    seen = []

    def fake(model, images, labels):
        # The label's parameter moves with training; the value tells sample and visit.
        values = labels.float() + 100 * len(seen) + 0 * model.head.bias.sum()
        seen.append(labels.clone())
        return values

    monkeypatch.setattr("unpoison.detection.features.cross_entropy", fake)
    labels = torch.arange(10)
    images = torch.zeros(10, 8, 8, 1, dtype=torch.uint8)
    model = create_backbone("conv5", 1, 10, 2)
    record = record_training(model, images, labels, TrainingConfig(epochs=2, batch_size=4), Context())
    expected, columns = torch.full((10,), math.log(10)), []
    for visit, batch in enumerate(seen):
        expected[batch] = batch.float() + 100 * visit
        if visit % 2 == 1:  # two batches an epoch
            columns.append(expected.clone())
    assert torch.allclose(record.losses, torch.stack(columns, 1))
    assert (record.losses[:, 0] == record.losses[:, 1]).sum() == 2


def test_svd_finds_a_planted_direction():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(600, 12, generator=generator)
    labels = torch.arange(600) // 300
    planted = torch.arange(600) < 30
    features[planted] += 6 * torch.nn.functional.normalize(torch.randn(12, generator=generator), dim=0)
    scores = svd_scores(features, labels)
    top = scores[:300].argsort(descending=True)[:30]
    assert planted[top].float().mean() > 0.9
    assert scores[:300].max() > 1.5 * scores[300:].max()


def test_svd_of_a_class_of_one_sample():
    scores = svd_scores(torch.rand(5, 3), torch.tensor([0, 0, 0, 0, 1]))
    assert scores[4] == 0
    assert scores.isfinite().all()
