"""Trained classifiers as files: safetensors that say what network their tensors are of."""

import json
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..data.reading import parse_json, parsing
from ..errors import DamagedError
from .backbones import Backbone, create_backbone
from .frozen import frozen
from .probe import Probe

_FACTS = "backbone"


class _Facts(msgspec.Struct):
    """What the file says of the network."""

    name: str
    channels: int
    num_classes: int
    width: int
    features: str | None = None
    """Those that it is a linear classifier on."""


def save_backbone(model: Backbone, path: Path) -> None:
    """Writes a network that `create_backbone` built, or a linear classifier without the features that it is on."""
    first = next(model.parameters())
    features = model.frozen.name if isinstance(model, Probe) else None
    facts = _Facts(model.name, first.shape[1], model.head.out_features, model.width, features)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, {_FACTS: json.dumps(msgspec.to_builtins(facts))})


def load_backbone(path: Path, device: torch.device) -> Backbone:
    """Reads what `save_backbone` wrote, as it is after training: in the memory format that the arithmetic has there.

    Raises:
        DamagedError: it is damaged or something else.
    """
    metadata, tensors = read_tensors(path)
    with parsing(path):
        facts = parse_json(metadata[_FACTS].encode(), _Facts)
        if facts.features is None:
            model = create_backbone(facts.name, facts.channels, facts.num_classes, facts.width)
        else:
            model = Probe(frozen(facts.features, device), facts.channels, facts.num_classes)
        model.load_state_dict(tensors, strict=True)
    return model.to(device).to(memory_format=torch.channels_last).eval()


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """The metadata and the tensors of a file of safetensors.

    Raises:
        DamagedError: it is damaged or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (OSError, SafetensorError) as error:
        raise DamagedError(path, str(error)) from error
