"""Quality checker and label restorer (section 3.3.2)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .. import rules
from ..training.backbones import Backbone
from ..training.loop import predict, predict_mirrored
from .config import DEFAULT, RestorationConfig


class Quality(NamedTuple):
    """What the quality checker says about M restored images."""

    quality: npt.NDArray[np.float32]
    """float32 [M] in 0..1: confidence in the label, less where the trigger still shows an effect."""
    accepted: npt.NDArray[np.bool_]
    """bool [M]; the rest is to be dropped."""
    labels: npt.NDArray[np.int64]
    """int64 [M], restored labels."""
    reason: npt.NDArray[np.str_]
    """str [M]: why an image is not accepted, "unclear" or "pulled", else ""; see `Report.reason`."""


def check_quality(
    restored: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    clean: npt.NDArray[np.uint8],
    classifier: Backbone,
    suspicious: Backbone | None = None,
    config: RestorationConfig = DEFAULT,
    *,
    mirrored: bool = False,
) -> Quality:
    """Restores labels, and drops images that are unclear or still carry a working trigger.

    The label is the class that a classifier of clean images is surest of. A trigger that still works pulls the
    model that learned the backdoor towards the flagged label; how strongly clean images of the restored class are
    pulled there shows what is normal, which also holds for attacks that leave the label right.

    Args:
        restored: uint8 [M,H,W,C].
        labels: int64 [M], the labels that came with them.
        clean: uint8 [N,H,W,C], unflagged images to compare with; a few thousand are plenty.
        classifier: trained on the unflagged part.
        suspicious: trained on everything, backdoor included; None skips the comparison.
        mirrored: whether the classifier was trained on mirror images, too, and is asked about them.
    """
    if not len(restored):
        return Quality(np.empty(0, np.float32), np.empty(0, np.bool_), np.empty(0, np.int64), np.empty(0, np.str_))
    device = classifier.head.weight.device
    x = torch.from_numpy(restored).to(device)
    probabilities = torch.softmax(predict_mirrored(classifier, x, mirrored), 1)
    confidence, found = probabilities.max(1)
    given = torch.from_numpy(labels).to(device)
    for label in torch.unique(given):
        group = given == label
        if float((found[group] == label).float().mean()) >= rules.CLEAN_LABEL_SHARE:
            # The attack left labels alone: where the classifier disagrees, it errs.
            found[group] = label
    accepted = clear = confidence >= config.min_confidence
    quality = confidence.clone()
    if suspicious is not None and len(clean):
        reference = torch.from_numpy(clean).to(device)
        reference_class = predict_mirrored(classifier, reference, mirrored).argmax(1)
        answers = predict(suspicious, x).logits
        excess = _excess(answers, found, given, predict(suspicious, reference).logits, reference_class)
        # The backdoored model still sees the flagged label where the clean one sees another.
        stolen = (answers.argmax(1) == given) & (found != given)
        accepted = clear & (excess <= config.max_pull) & ~stolen
        # A pull at the limit halves the quality.
        quality *= torch.sigmoid(2 * (config.max_pull - excess)) * 0.5 + 0.5 * (excess <= config.max_pull)
    reason = np.where(clear.cpu().numpy(), np.where(accepted.cpu().numpy(), "", "pulled"), "unclear")
    return Quality(quality.float().cpu().numpy(), accepted.cpu().numpy(), found.cpu().numpy(), reason)


def _excess(logits: Tensor, found: Tensor, given: Tensor, reference: Tensor, reference_class: Tensor) -> Tensor:
    """Robust z-score [M] of the log-odds of the given label, among clean images of the restored class."""
    out = torch.zeros(len(logits), device=logits.device)
    for label in torch.unique(given):
        pull, usual = _log_odds(logits, int(label)), _log_odds(reference, int(label))
        for klass in torch.unique(found[given == label]):
            same = usual[reference_class == klass]
            same = usual if len(same) < rules.LEAST_REFERENCE else same
            median = same.median()
            # Upper half only: the lower tail is long, and it is the upper one that a trigger enters.
            above = same[same >= median] - median
            spread = 1.4826 * above.median().clamp_min(1e-3)
            chosen = (given == label) & (found == klass)
            out[chosen] = (pull[chosen] - median) / spread
    return out


def _log_odds(logits: Tensor, label: int) -> Tensor:
    others = torch.cat([logits[:, :label], logits[:, label + 1 :]], 1)
    return logits[:, label] - others.logsumexp(1)
