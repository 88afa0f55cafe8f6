"""What `SEAM_SEPARATION` is compared with: how far joined images and others lie apart in every class."""

import numpy as np
import torch

from unpoison import rules
from unpoison.detection import seams
from unpoison.detection.mixture import fit_split, least_share

from .observing import Observations, agree
from .sets import Data


def observe(data: Data) -> Observations:
    """Of a set without poison, or with joined images."""
    seen = Observations()
    images = torch.from_numpy(data.images)
    present = np.unique(data.labels).tolist()
    members = [torch.from_numpy(data.labels == label) for label in present]
    decided = seams.seam_splits(images, members)
    # As in `seam_splits`, which keeps what does not reach the number to itself.
    clarity = seams.seams(images)
    centred = [clarity[member] - clarity[member].median() for member in members]
    width = (1.4826 * torch.cat(centred).abs().median()).clamp_min(1e-6)
    for label, values, found in zip(present, centred, decided, strict=True):
        split = fit_split(values[:, None] / width, (values > seams.START * width)[None])
        minority = least_share(len(split.log_ratio)) <= split.share <= 0.5
        agree("SEAM_SEPARATION", minority and split.separation >= rules.SEAM_SEPARATION, found is not None)
        if minority:
            joined = data.poisoned[data.labels == label].any()
            seen.add("SEAM_SEPARATION", "poison" if joined else "clean", split.separation)
    return seen
