"""The training loop: it learns, repeats itself for a seed, and follows its schedule."""

import numpy as np
import pytest
import torch

from unpoison.errors import ConfigError
from unpoison.training.backbones import create_backbone
from unpoison.training.loop import TrainingConfig, as_input, on_device, predict, predict_mirrored, train


@pytest.fixture
def data():
    """Noise whose brightness is the class: uint8 [120,8,8,1] and int64 [120]."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = (labels[:, None, None, None] * 80 + rng.integers(0, 60, (120, 8, 8, 1))).astype(np.uint8)
    return torch.from_numpy(images), torch.from_numpy(labels)


def trained(data, seed=0, **settings):
    torch.manual_seed(0)
    model = create_backbone("resnet9", 1, 3, 4)
    settings = {"epochs": 6, "batch_size": 20, **settings}
    losses = list(train(model, *data, TrainingConfig(**settings), seed))
    return model, losses


def test_training_learns(data):
    model, losses = trained(data)
    assert [epoch for epoch, _ in losses] == [1, 2, 3, 4, 5, 6]
    assert losses[-1][1] < 0.3 * losses[0][1]
    assert (predict(model, data[0]).logits.argmax(1) == data[1]).float().mean() > 0.95


@pytest.mark.parametrize("flip", [False, True])
def test_seed_decides(data, flip):
    runs = [predict(trained(data, seed, flip=flip)[0], data[0]).logits for seed in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_training_leaves_images_alone(data):
    before = data[0].clone()
    trained(data, flip=True, epochs=1)
    assert torch.equal(data[0], before)


def test_predict(data):
    model, _ = trained(data, epochs=1)
    images = data[0].repeat(5, 1, 1, 1)  # more than one batch
    features, logits = predict(model, images)
    assert features.shape == (600, model.num_features)
    assert logits.shape == (600, 3)
    assert features.dtype == logits.dtype == torch.float32
    # Rows do not depend on what else is in their batch.
    assert torch.allclose(logits[:120], logits[480:], atol=0.05)
    assert not model.training


def test_fewer_samples_than_a_batch(data):
    _, losses = trained((data[0][:7], data[1][:7]), epochs=2, batch_size=128)
    assert len(losses) == 2
    assert all(np.isfinite(loss) for _, loss in losses)


def test_mirroring_teaches_mirror_images():
    # A bright left half is class 0; unmirrored training calls its mirror image class 1 or leaves it open.
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (120, 8, 8, 1), dtype=np.uint8)
    labels = torch.arange(120) % 2
    images[::2, :, :4] += 150
    images[1::2, :4] += 150
    data = torch.from_numpy(images), labels
    mirrored = data[0].flip(2)
    with_flips = predict(trained(data, flip=True)[0], mirrored).logits.argmax(1)
    assert (with_flips == labels).float().mean() > 0.95


def test_paper_schedule(data, monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def noting(self, *arguments, **settings):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **settings)

    monkeypatch.setattr(torch.optim.SGD, "step", noting)
    trained(data, schedule="multistep", epochs=8, batch_size=60, learning_rate=0.01)
    assert rates == pytest.approx([0.01] * 8 + [0.001] * 4 + [0.0001] * 4)


def test_input_is_in_0_to_1():
    x = as_input(torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 3, 1).expand(2, 4, 3, 3))
    assert x.shape == (2, 3, 4, 3)
    assert x[0, 0, 0].tolist() == pytest.approx([0, 0.2, 1])


def test_images_are_not_copied_on_a_cpu():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    on_device(images, torch.device("cpu"))[0, 0, 0, 0] = 7
    assert images[0, 0, 0, 0] == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs=0: should be greater than or equal to 1"),
        ({"batch_size": 1}, "batch_size=1: should be greater than or equal to 2"),
        ({"learning_rate": 0}, "learning_rate=0: should be greater than 0"),
        ({"schedule": "cosine"}, "schedule='cosine': should be 'onecycle', 'multistep' or 'constant'"),
        ({"optimizer": "lion"}, "optimizer='lion': should be 'sgd' or 'adam'"),
        ({"momentum": -0.1}, "momentum=-0.1: should be greater than or equal to 0"),
        ({"weight_decay": float("nan")}, "weight_decay=nan: should be a finite number"),
        ({"flip": 1}, "flip=1: should be a valid boolean"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**settings)


def test_mirror_images_get_one_answer():
    torch.manual_seed(0)
    model = create_backbone("conv5", 3, 10, 8)
    images = torch.randint(0, 256, (9, 16, 16, 3), dtype=torch.uint8)
    both = predict_mirrored(model, images, True)
    torch.testing.assert_close(predict_mirrored(model, images.flip(2), True), both)
    alone = predict_mirrored(model, images, False)
    assert torch.equal(alone, predict(model, images).logits)
    assert not torch.allclose(alone, both)
