"""Trained classifiers as files: safetensors that say what network their tensors are of."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from .backbones import Backbone, create_backbone

_FACTS = "backbone"


def save_backbone(model: Backbone, path: Path) -> None:
    """Writes a network that `create_backbone` built."""
    first = next(model.parameters())
    facts = {
        "name": model.name, "channels": first.shape[1], "num_classes": model.head.out_features, "width": model.width
    }  # fmt: skip
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, path, {_FACTS: json.dumps(facts)})


def load_backbone(path: Path, device: torch.device) -> Backbone:
    """Reads what `save_backbone` wrote, as it is after training: in the memory format that the arithmetic has there.

    Raises:
        OSError, SafetensorError, ValueError, TypeError, KeyError, RuntimeError: it is damaged or something else.
    """
    with safe_open(path, framework="pt") as file:
        facts = json.loads((file.metadata() or {})[_FACTS])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    model = create_backbone(**facts)
    model.load_state_dict(tensors, strict=True)
    return model.to(device).to(memory_format=torch.channels_last).eval()
