"""Image classifiers by name. All map float images [B,C,H,W] in 0..1, of 8x8 pixels or more, to logits [B,K]."""

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor, nn

from ..errors import ConfigError


def conv_bn_relu(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )


class Backbone(nn.Module):
    """A classifier whose penultimate activations (the papers' H_k) are accessible.

    Attributes:
        name: of `BACKBONES`, where `create_backbone` built it.
        width: channels of the first stage.
        num_features: D, the number of penultimate activations.
        stages: positions in `body` of the layers at the end of the last three stages.
    """

    name: str
    width: int
    num_features: int
    stages: tuple[int, int, int]

    def __init__(self, body: nn.Sequential, num_features: int, num_classes: int, stages: tuple[int, int, int]) -> None:
        super().__init__()
        self.body = body
        self.num_features = num_features
        self.stages = stages
        self.head = nn.Linear(num_features, num_classes)

    def forward_features(self, images: Tensor) -> Tensor:
        """Penultimate activations [B,D] of float images [B,C,H,W] in 0..1."""
        features: Tensor = self.body(_centred(images))
        return features

    def forward_stages(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Maps [B,C',H',W'] at the end of the last three stages, and logits [B,K]."""
        x, maps = _centred(images), []
        for number, layer in enumerate(self.body):
            x = layer(x)
            if number in self.stages:
                maps.append(x)
        return maps, self.head(x)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.forward_features(images))
        return logits


def _centred(images: Tensor) -> Tensor:
    return (images - 0.5) * 4


class ResidualPair(nn.Module):
    """x + two convolutions of x at constant width: the residual block of ResNet-9."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(conv_bn_relu(width, width), conv_bn_relu(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.convs(x)
        return out


class BasicBlock(nn.Module):
    """The basic block of He et al. (2016, arXiv 1512.03385)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            conv_bn_relu(channels, width, stride),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.stride = stride
        self.shortcut = (
            nn.Identity()
            if stride == 1 and channels == width
            else nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))
        )

    def forward(self, x: Tensor) -> Tensor:
        # The stride is taken here: oneDNN's gradient of a strided 1x1 convolution writes beyond its buffer where the
        # channels are fewer than a vector holds (uxlfoundation/oneDNN issue 6035).
        return torch.relu(self.convs(x) + self.shortcut(x[:, :, :: self.stride, :: self.stride]))


def conv5(channels: int, num_classes: int, width: int) -> Backbone:
    """Five convolutions: BaB's "simple network model", trained in seconds."""
    body = nn.Sequential(
        conv_bn_relu(channels, width, 2),
        conv_bn_relu(width, 2 * width),
        conv_bn_relu(2 * width, 2 * width, 2),
        conv_bn_relu(2 * width, 4 * width, 2),
        conv_bn_relu(4 * width, 4 * width),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
    )
    return Backbone(body, 4 * width, num_classes, (1, 2, 4))


def resnet9(channels: int, num_classes: int, width: int) -> Backbone:
    body = nn.Sequential(
        conv_bn_relu(channels, width),
        conv_bn_relu(width, 2 * width),
        nn.MaxPool2d(2),
        ResidualPair(2 * width),
        conv_bn_relu(2 * width, 4 * width),
        nn.MaxPool2d(2),
        conv_bn_relu(4 * width, 8 * width),
        nn.MaxPool2d(2),
        ResidualPair(8 * width),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
    )
    return Backbone(body, 8 * width, num_classes, (3, 6, 8))


def _resnet(channels: int, num_classes: int, width: int, depths: tuple[int, ...]) -> Backbone:
    layers: list[nn.Module] = [conv_bn_relu(channels, width)]
    current = width
    for stage, depth in enumerate(depths):
        for block in range(depth):
            layers.append(BasicBlock(current, width << stage, 2 if stage and block == 0 else 1))
            current = width << stage
    second, third, fourth = list(accumulate(depths))[1:]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    # The stem is layer 0, so the last block of a stage has the number of all blocks so far.
    return Backbone(nn.Sequential(*layers), current, num_classes, (second, third, fourth))


def resnet18(channels: int, num_classes: int, width: int) -> Backbone:
    """ResNet-18 with the 3x3 stem that small images need."""
    return _resnet(channels, num_classes, width, (2, 2, 2, 2))


def resnet34(channels: int, num_classes: int, width: int) -> Backbone:
    """ResNet-34 with the 3x3 stem that small images need."""
    return _resnet(channels, num_classes, width, (3, 4, 6, 3))


BACKBONES: dict[str, Callable[[int, int, int], Backbone]] = {
    "conv5": conv5,
    "resnet9": resnet9,
    "resnet18": resnet18,
    "resnet34": resnet34,
}


def create_backbone(name: str, channels: int, num_classes: int, width: int) -> Backbone:
    """Builds an untrained backbone.

    Args:
        name: one of `BACKBONES`.
        channels: C, image channels.
        num_classes: K.
        width: channels of the first stage. The standard ResNet-18 has 64.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in BACKBONES:
        raise ConfigError(f"unknown backbone {name!r}: choose one of {', '.join(sorted(BACKBONES))}")
    model = BACKBONES[name](channels, num_classes, width)
    model.name, model.width = name, width
    return model
