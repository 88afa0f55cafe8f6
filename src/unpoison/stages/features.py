"""What a source of frozen features says of the images as they came. In place of it the user may give an array."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..config import detection_of
from ..context import Context
from ..data.checksums import Checked
from ..data.store import ImageStore
from ..features import get_features
from ..training.frozen import frozen
from ..training.loop import as_input, on_device
from .stage import Artefact, Executor, Inputs, Stage

FEATURES = "features"
"""Of the stage, and of what it makes among the inputs of others."""
_ARRAY = "features.npy"
_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Source:
    """Who is asked."""

    name: str
    """Of a source, see `get_features`."""


def run(inputs: Inputs, out: Path, config: Source, context: Context) -> None:
    """Writes what `load` reads."""
    images = ImageStore.open(inputs["store"]).images
    source = frozen(config.name, context.device)
    parts = []
    with context.stage("features") as part:
        for start in range(0, len(images), _BATCH):
            parts.append(source.ask(as_input(on_device(images[start : start + _BATCH], context.device))).cpu())
            part.update(start / len(images))
    save(torch.cat(parts).numpy(), out)


def save(features: npt.NDArray[np.float32], folder: Path) -> None:
    """Writes features [N,D] of the images of a store into an existing folder."""
    np.save(folder / _ARRAY, features, allow_pickle=False)


def load(folder: Path, device: torch.device) -> Tensor:
    """Reads what `save` wrote: float32 [N,D].

    Raises:
        DamagedError: the file is damaged.
    """
    return torch.from_numpy(Checked(folder).array(_ARRAY, "f", 2)).to(device)


LOOK = Stage(
    name=FEATURES,
    makes="features of the images",
    run=run,
    config_class=Source,
    versions=lambda config: {config.name: get_features(config.name).version},
)


def with_features(
    inputs: Mapping[str, Artefact], config: Any, executor: Executor, context: Context
) -> dict[str, Artefact]:
    """Inputs, and among them the features of the source that a method's configuration names, where it names one."""
    detection = detection_of(config)
    if detection is None or detection.features is None:
        return dict(inputs)
    return {**inputs, FEATURES: executor.run(LOOK, {"store": inputs["store"]}, Source(detection.features), context)}
