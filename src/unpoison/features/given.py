"""Features as users give them: the name of a source, a source, a function of images, or an array."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import PlainValidator
from torch import Tensor, nn

from ..errors import ConfigError
from .base import FeatureSource

Function = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Maps images uint8 [n,H,W,3], of the working size, to features [n,D]."""
_CHUNK = 4096
"""Rows that are looked at together: an array may lie on disk."""
_ASKED = 4
"""Images that show whether a function is still the same."""


class _Network(nn.Module):
    """A function of uint8 images as a network."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        features = np.asarray(self.function(pixels), np.float32)
        return torch.from_numpy(features).to(images.device)


def source_of(function: Function, size: tuple[int, int] | None) -> FeatureSource:
    """A function as a source under its qualified name.

    Its version is what it says of a few images of noise of this height and width: nobody else would notice when other
    weights stand behind the same name. It is not asked where the size is not known yet.
    """
    said = b""
    if size is not None:
        noise = np.random.default_rng(0).integers(0, 256, (_ASKED, *size, 3), np.uint8)
        said = np.asarray(function(noise), np.float32).tobytes()
    return FeatureSource(
        name=name_of(function),
        load=lambda: _Network(function),
        source="a function of the user's",
        version=hashlib.sha256(said).hexdigest(),
    )


def name_of(function: Function) -> str:
    """Module and qualified name; those of its class where it has none of its own."""
    of = function if hasattr(function, "__qualname__") else type(function)
    return f"{of.__module__}.{of.__qualname__}"


def check_rows(features: Any, count: int) -> None:
    """Looks whether an array has a row for each of so many items; other features have none.

    Raises:
        ConfigError: it has not.
    """
    if isinstance(features, np.ndarray) and len(features) != count:
        raise ConfigError(
            f"features= has {len(features)} rows, the dataset {count} items: give a row for each, in order"
        )


def digest_of(features: npt.NDArray[np.float32]) -> str:
    """sha256 of an array [N,D], in hexadecimal."""
    digest = hashlib.sha256(repr(features.shape).encode())
    for start in range(0, len(features), _CHUNK):
        digest.update(np.ascontiguousarray(features[start : start + _CHUNK]).data)
    return digest.hexdigest()


def _usable(features: Any) -> Any:
    if isinstance(features, str | FeatureSource):
        return features
    if isinstance(features, Tensor):
        features = features.detach().cpu().numpy()
    if isinstance(features, np.ndarray):
        return _checked_array(features)
    if isinstance(features, nn.Module) or not callable(features):
        raise ConfigError(
            f"features={type(features).__name__}: give the name of a source, a FeatureSource, a function of images "
            "uint8 [n,H,W,3], or an array float32 [N,D] with a row for each item"
        )
    return features


def _checked_array(features: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if features.ndim != 2 or not features.size or features.dtype.kind != "f":
        raise ConfigError(
            f"features= of shape {list(features.shape)} and type {features.dtype}: an array must be float32 [N,D], "
            "with a row for each item of the dataset"
        )
    with np.errstate(over="ignore"):  # it is then infinite
        features = features.astype(np.float32, copy=False)
    for start in range(0, len(features), _CHUNK):
        wrong = ~np.isfinite(features[start : start + _CHUNK]).all(1)
        if wrong.any():
            raise ConfigError(f"features= is not finite in row {start + int(wrong.argmax())}")
    return features


if TYPE_CHECKING:
    AnyFeatures = str | FeatureSource | Function | npt.NDArray[np.float32]
else:
    AnyFeatures = Annotated[Any, PlainValidator(_usable)]
