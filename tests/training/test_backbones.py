"""Every registered network, at every size it must take."""

import pytest
import torch

from unpoison.errors import ConfigError
from unpoison.training.backbones import BACKBONES, create_backbone


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(("size", "channels"), [((8, 8), 1), ((28, 28), 1), ((32, 32), 3), ((48, 33), 3)])
def test_shapes(name, size, channels):
    torch.manual_seed(0)
    model = create_backbone(name, channels, 5, 4).eval()
    images = torch.rand(2, channels, *size)
    features = model.forward_features(images)
    assert features.shape == (2, model.num_features)
    assert torch.equal(model.head(features), model(images))
    assert model(images).shape == (2, 5)


@pytest.mark.parametrize("name", BACKBONES)
def test_stages_end_at_three_resolutions(name):
    torch.manual_seed(0)
    model = create_backbone(name, 3, 5, 4).eval()
    images = torch.rand(2, 3, 32, 32)
    maps, logits = model.forward_stages(images)
    assert [tuple(found.shape[2:]) for found in maps] == [(16, 16), (8, 8), (4, 4)]
    assert torch.equal(logits, model(images))
    # The last map is what is pooled into the features.
    pooled = maps[-1].mean((2, 3)) if name in ("resnet18", "resnet34") else maps[-1].amax((2, 3))
    assert torch.allclose(pooled, model.forward_features(images), atol=1e-6)


@pytest.mark.parametrize("name", BACKBONES)
def test_width_scales_the_features(name):
    assert create_backbone(name, 3, 2, 8).num_features == 2 * create_backbone(name, 3, 2, 4).num_features


@pytest.mark.parametrize("name", BACKBONES)
def test_every_parameter_learns(name):
    torch.manual_seed(0)
    model = create_backbone(name, 3, 4, 4)
    torch.nn.functional.cross_entropy(model(torch.rand(8, 3, 16, 16)), torch.arange(8) % 4).backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


@pytest.mark.parametrize("width", [2, 3, 4, 7, 16])
@pytest.mark.parametrize("name", BACKBONES)
def test_gradients_in_the_training_layout_are_those_of_double_precision(name, width):
    # Kernels in single precision and channels_last have ways of their own for few channels.
    torch.manual_seed(0)
    exact = create_backbone(name, 3, 4, width).double()
    fast = create_backbone(name, 3, 4, width).to(memory_format=torch.channels_last)
    fast.load_state_dict(exact.state_dict())
    images, labels = torch.rand(8, 3, 32, 32), torch.arange(8) % 4
    torch.nn.functional.cross_entropy(exact(images.double()), labels).backward()
    torch.nn.functional.cross_entropy(fast(images.to(memory_format=torch.channels_last)), labels).backward()
    for (parameter, value), other in zip(exact.named_parameters(), fast.parameters(), strict=True):
        # Rounding turns some ReLUs on and off, and moves a few maxima.
        assert (other.grad.double() - value.grad).norm() < 0.2 * value.grad.norm() + 1e-6, parameter


def test_resnet18_of_width_64_is_the_standard_one():
    # 11.17 M parameters with the 3x3 stem and ten classes.
    assert sum(p.numel() for p in create_backbone("resnet18", 3, 10, 64).parameters()) == 11_173_962


def test_unknown_name():
    with pytest.raises(ConfigError, match="unknown backbone 'vgg': choose one of conv5, resnet18, resnet34, resnet9"):
        create_backbone("vgg", 3, 10, 16)
