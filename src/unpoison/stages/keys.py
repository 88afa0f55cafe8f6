"""Under which key the result of a stage is kept: it names everything that changes it."""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import torch

from .. import rules
from ..data.cache import cache_key
from ..detection.choice import default_network
from ..training.precision import precision_of
from ..triggers import triggers
from .stage import Artefact, Stage


def artefact_key(stage: Stage, inputs: Mapping[str, Artefact], config: Any, device: torch.device, seed: int) -> str:
    """Of what a stage makes on a device from a seed."""
    return cache_key(
        stage=stage.name,
        format=stage.format,
        inputs={name: artefact.key for name, artefact in inputs.items()},
        config=config,
        versions=stage.versions(config),
        seed=seed,
        **made_by(device),
    )


def made_by(device: torch.device) -> dict[str, Any]:
    """Of every key of what is computed: version, arithmetic, kinds of triggers, the numbers that decide, and, where the
    settings leave it open, the network. Settings are in the key as well: a CPU's result never answers for a GPU's."""
    return {
        "version": importlib.metadata.version("unpoison"),
        "device": device.type,
        "precision": precision_of(device),
        "network": default_network(device),
        "triggers": [trigger.kind for trigger in triggers()],
        "rules": rules.numbers(),
    }
