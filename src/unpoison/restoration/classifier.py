"""The classifier C of section 3.3.2, trained on what is not flagged: it names the classes of restored images."""

import json
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..context import Context
from ..data.checksums import Checked
from ..detection.choice import Choice, choose
from ..detection.config import DEFAULT
from ..detection.verifier import Verifier, fit_credible, go_on
from ..explanation.found import Found
from ..training.backbones import Backbone
from ..training.frozen import frozen
from ..training.loop import on_device
from ..training.probe import Probe, fit_probe
from ..training.weights import load_backbone, save_backbone

EPOCHS = 0.6
"""Of M's, for a C that goes on from a verifier. Measured, 10,000 images of CIFAR-10: after .3 of 10 epochs it is right
on 69.6 % of the test images, the verifier on 63.8 %."""
_MODEL, _CHOICE = "model.safetensors", "choice.json"


class Classifier(NamedTuple):
    """C, and how it was trained."""

    model: Backbone
    choice: Choice

    @classmethod
    def trained(
        cls,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        num_classes: int,
        flagged: npt.NDArray[np.bool_],
        found: Found,
        context: Context,
        features: Tensor | None = None,
    ) -> Self:
        """Trains C on what is not flagged, bool [N], of uint8 images [N,H,W,C] with labels int64 [N].

        Features float32 [N,D] of the images help where restored ones can be asked about as well.
        """
        choice = found.choice
        if choice is None:
            with context.stage("choose"):
                choice = choose(DEFAULT, images, labels, num_classes, context)
        with context.stage("train on clean part") as part:
            if features is not None and choice.features is not None:
                clean = torch.from_numpy(~flagged).to(context.device)
                y = torch.from_numpy(labels).to(context.device)[clean]
                source = frozen(choice.features, context.device)
                return cls(fit_probe(source, features[clean], y, num_classes, part.seed), choice)
            if found.verifier is None or _has_learned(found.verifier, flagged):
                return cls(train_classifier(images, labels, ~flagged, num_classes, choice, part), choice)
            x, y = _chosen(images, labels, ~flagged, context.device)
            return cls(go_on(found.verifier.model, x, y, choice, EPOCHS, part.seeded(part.seed + 2)), choice)

    @property
    def mirrored(self) -> bool:
        """Whether it was trained on mirror images, too, and is asked about them."""
        return self.choice.training.flip and not isinstance(self.model, Probe)

    def save(self, folder: Path) -> None:
        """Writes it into an existing folder."""
        save_backbone(self.model, folder / _MODEL)
        (folder / _CHOICE).write_text(json.dumps(msgspec.to_builtins(self.choice)))

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Reads what `save` wrote.

        Raises:
            DamagedError: a file is damaged.
        """
        files = Checked(folder)
        return cls(load_backbone(files.check(_MODEL), device), files.json(_CHOICE, Choice))


def _has_learned(verifier: Verifier, flagged: npt.NDArray[np.bool_]) -> bool:
    """Whether a verifier was trained on flagged samples, bool [N], but for a few that it cannot generalise from."""
    return bool(verifier.learned.cpu().numpy()[flagged].mean() > rules.FEW_LEARNED)


def _chosen(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_], device: torch.device
) -> tuple[Tensor, Tensor]:
    return on_device(images[chosen], device), torch.from_numpy(labels[chosen]).to(device)


def train_classifier(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    clean: npt.NDArray[np.bool_],
    num_classes: int,
    choice: Choice,
    context: Context,
) -> Backbone:
    """Trains C on D_c, the clean ones, bool [N], of uint8 images [N,H,W,C] with labels int64 [N]."""
    x, y = _chosen(images, labels, clean, context.device)
    return fit_credible(x, y, num_classes, choice, 1.0, context.seeded(context.seed + 2))
