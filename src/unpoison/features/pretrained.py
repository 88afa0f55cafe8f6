"""Models of timm as sources of features, with weights from a file of safetensors, here or on the Hub."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..checks import AnyPath, Positive, checked
from ..errors import ConfigError, MissingExtraError
from ..hub import open_snapshot, parse
from .base import FeatureSource

PREFIX = "timm/"
_WEIGHTS, _CONFIG = "model.safetensors", "config.json"
_MAX_WEIGHTS, _MAX_CONFIG = 1 << 33, 1 << 20
"""Bytes."""


@checked
def timm_features(
    model: str, weights: AnyPath | None = None, *, side: Positive | None = None, name: str | None = None
) -> FeatureSource:
    """The penultimate activations of a model of timm, which sees images at the size and scale it was trained with.

    Args:
        model: its name, such as "resnet18.a1_in1k", or on the Hub "timm/resnet18.a1_in1k" or "timm/...@revision".
        weights: a file of safetensors; those of the Hub when None.
        side: pixels of the side that images are brought to; that of its training when None. Time goes as its square.
        name: of the features; the model's when None.

    Raises:
        ConfigError: there is no such model, or the file is none of safetensors. Weights of another model show when the
            network is made.
        HubError: the model cannot be found or reached.
        MissingExtraError: timm is not installed.
    """
    architecture = check_known(model)
    path = _from_hub(model) if weights is None else Path(weights)
    _check_tensors(path)
    with path.open("rb") as file:
        version = hashlib.file_digest(file, "sha256").hexdigest()
    return FeatureSource(
        name=name or model,
        load=functools.partial(_load, architecture, path, side),
        source=f"timm, {model}",
        version=version if side is None else f"{version} {side}",
    )


@functools.cache
def of_the_hub(name: str) -> FeatureSource:
    """A model of timm by its name on the Hub, which is asked once: a branch may move on. See `timm_features`."""
    return timm_features(name)


def _from_hub(model: str) -> Path:
    source = parse(model if model.startswith(PREFIX) else PREFIX + model)
    return open_snapshot(source, _CONFIG, _MAX_CONFIG).fetch(_WEIGHTS, _MAX_WEIGHTS)


def check_known(model: str) -> str:
    """The architecture that a name means, here or on the Hub, which is not asked; raises as `timm_features`."""
    architecture = model.removeprefix(PREFIX).partition("@")[0]
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("models of timm need timm: pip install 'unpoison[timm]'") from error
    if not timm.is_model(architecture.partition(".")[0]):
        raise ConfigError(f"timm has no model {architecture!r}: timm.list_models() names all")
    return architecture


def _check_tensors(path: Path) -> None:
    if path.suffix != ".safetensors" or not path.is_file():
        raise ConfigError(f"weights={str(path)!r}: give a file of safetensors that is there")
    try:
        with safe_open(path, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"weights={str(path)!r}: this is no file of safetensors ({error})") from error


class _Sized(nn.Module):
    """A network that is given images of any size at its own, on the scale of its training."""

    def __init__(self, network: nn.Module, size: tuple[int, int], mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.network, self.size = network, size
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.mean: Tensor
        self.deviation: Tensor

    def forward(self, images: Tensor) -> Tensor:
        sized = F.interpolate(images, self.size, mode="bilinear", antialias=True, align_corners=False)
        features: Tensor = self.network((sized - self.mean) / self.deviation)
        return features


def _load(architecture: str, weights: Path, side: int | None) -> nn.Module:
    import timm

    # timm renames the tensors of other authors itself, and reads files of this kind without unpickling anything.
    try:
        network: Any = timm.create_model(
            architecture, pretrained=True, pretrained_cfg_overlay={"file": str(weights)}, num_classes=0
        )
    except RuntimeError as error:
        raise ConfigError(f"weights={str(weights)!r} are not those of {architecture}: {error}") from error
    facts = network.pretrained_cfg
    mean, deviation = (torch.tensor(facts[name])[:, None, None] for name in ("mean", "std"))
    network = network.to(memory_format=torch.channels_last)  # half as fast again on a CPU
    return _Sized(network, facts["input_size"][1:] if side is None else (side, side), mean, deviation)
