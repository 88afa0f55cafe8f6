"""What M learned and what was detected, as files: arrays, networks as safetensors and facts as JSON."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..data.checksums import Checked
from ..data.store import ImageStore
from ..report import ClassEvidence
from ..training.loop import on_device
from ..training.weights import load_backbone, save_backbone
from .choice import Choice
from .detected import Detection, Learned
from .features import TrainingRecord
from .mixture import whiten
from .verifier import Verifier

_MODEL, _RECORD, _CHOICE = "model.safetensors", "record.npz", "choice.json"
_DETECTION, _FACTS = "detection.npz", "detection.json"
_VERIFIER, _TAUGHT = "verifier", "taught"
_REQUIRED = {"score": ("f", 1), "kind": ("U", 1), "suspects": ("b", 2), "suspected": ("i", 1)}
_OPTIONAL = {"probabilities": ("f", 2), "doubt": ("f", 1), _VERIFIER: ("b", 1), _TAUGHT: ("b", 1)}


class _Facts(msgspec.Struct):
    """What `detection.json` holds."""

    threshold: float
    classes: list[ClassEvidence]
    choice: Choice


def save_learned(learned: Learned, folder: Path) -> None:
    """Writes the network, its training record and how it was chosen into an existing folder."""
    save_backbone(learned.model, folder / _MODEL)
    record = {name: _array(tensor) for name, tensor in learned.record._asdict().items()}
    np.savez(folder / _RECORD, allow_pickle=False, **record)
    (folder / _CHOICE).write_text(json.dumps(msgspec.to_builtins(learned.choice)))


def load_learned(folder: Path, store: ImageStore, device: torch.device, features: Tensor | None = None) -> Learned:
    """Reads what `save_learned` wrote of the images of a store, of which there may be features.

    Raises:
        DamagedError: a file is damaged.
    """
    files = Checked(folder)
    arrays = files.arrays(_RECORD, {"activations": ("f", 2), "losses": ("f", 2)})
    record = TrainingRecord(**{name: torch.from_numpy(array).to(device) for name, array in arrays.items()})
    images, labels = on_device(store.images, device), torch.from_numpy(store.labels).to(device)
    model = load_backbone(files.check(_MODEL), device)
    return Learned(images, labels, model, files.json(_CHOICE, Choice), record, features)


def save_detection(detection: Detection, folder: Path) -> None:
    """Writes what was detected into an existing folder, but for what `load_learned` has."""
    suspects = detection.suspects
    arrays: dict[str, Any] = {
        "score": _array(detection.score),
        "kind": detection.kind,
        "suspected": np.array(list(suspects), np.int64),
        "suspects": np.array([_array(mask) for mask in suspects.values()], np.bool_).reshape(-1, len(detection.kind)),
    }
    for name, tensor in (("probabilities", detection.probabilities), ("doubt", detection.doubt)):
        if tensor is not None:
            arrays[name] = _array(tensor)
    verifiers = {_VERIFIER: detection.verifier}
    if detection.taught is not detection.verifier:
        verifiers[_TAUGHT] = detection.taught
    for name, verifier in verifiers.items():
        if verifier is not None:
            arrays[name] = _array(verifier.learned)
            save_backbone(verifier.model, folder / f"{name}.safetensors")
    np.savez(folder / _DETECTION, allow_pickle=False, **arrays)
    facts = _Facts(detection.threshold, detection.classes, detection.choice)
    (folder / _FACTS).write_text(json.dumps(msgspec.to_builtins(facts), indent=1))


def load_detection(folder: Path, learned: Learned) -> Detection:
    """Reads what `save_detection` wrote of what was learned; on the same device.

    Raises:
        DamagedError: a file is damaged.
    """
    files, device = Checked(folder), learned.labels.device
    facts, arrays = files.json(_FACTS, _Facts), files.arrays(_DETECTION, _REQUIRED, _OPTIONAL)

    def tensor(name: str) -> Tensor | None:
        return torch.from_numpy(arrays[name]).to(device) if name in arrays else None

    def verifier(name: str) -> Verifier | None:
        mask = tensor(name)
        return None if mask is None else Verifier(load_backbone(files.check(f"{name}.safetensors"), device), mask)

    probabilities, score = tensor("probabilities"), tensor("score")
    assert score is not None
    first = verifier(_VERIFIER)
    suspects = zip(arrays["suspected"].tolist(), torch.from_numpy(arrays["suspects"]).to(device), strict=True)
    return Detection(
        score=score,
        threshold=facts.threshold,
        flagged=score > facts.threshold,
        kind=arrays["kind"],
        classes=facts.classes,
        model=learned.model,
        suspects=dict(suspects),
        verifier=first,
        taught=verifier(_TAUGHT) or first,
        probabilities=probabilities,
        doubt=tensor("doubt"),
        activations=None if probabilities is None else whiten(learned.record.activations, learned.labels),
        choice=facts.choice,
    )


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = tensor.detach().cpu().numpy()
    return array
