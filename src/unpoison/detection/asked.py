"""Detectors on features that have a say beside the classes' own clusters: `DetectionConfig.detectors`."""

import torch
from torch import Tensor

from ..detectors import get_detector
from .config import DetectionConfig
from .features import TrainingRecord
from .mixture import Split, fit_split


def splits_of(
    record: TrainingRecord, activations: Tensor, labels: Tensor, members: list[Tensor], config: DetectionConfig
) -> dict[str, list[Split]]:
    """By detector, a split of each class that starts from what it flags there.

    A split is fitted, not taken as it is: most detectors flag something in every class, and what they flag counts only
    as far as it is a cluster among the activations, which are whitened, float32 [N,D].
    """
    splits: dict[str, list[Split]] = {}
    for name in config.detectors:
        verdict = get_detector(name).verdict(record.activations.cpu().numpy(), labels.cpu().numpy(), config.poison_rate)
        flagged = torch.from_numpy(verdict.flagged).to(labels.device)
        splits[name] = [fit_split(activations[member], flagged[member][None]) for member in members]
    return splits
