"""What M has learned, and what was detected with it."""

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..report import ClassEvidence
from ..training.backbones import Backbone
from .choice import Choice
from .features import TrainingRecord
from .verifier import Verifier


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection:
    """What the detector found, on the device of the computation."""

    score: Tensor
    """float32 [N]; samples above `threshold` are flagged."""
    threshold: float
    flagged: Tensor
    """bool [N]."""
    kind: npt.NDArray[np.str_]
    """str [N]: what a flag would mean, see `Report.kind`."""
    classes: list[ClassEvidence]
    model: Backbone
    """M, trained on the suspect data: it obeys the trigger."""
    suspects: dict[int, Tensor]
    """Per class that no learned cluster gates but whose pixels are worth a look: bool [N], the minority inside. A
    backdoor that is learned late may look mislabelled; a trigger in the pixels of its cluster tells."""
    verifier: Verifier | None
    """A classifier that has learned only the most credible samples outside of all suspects; None for "svd"."""
    taught: Verifier | None
    """The same, or what became of it once it was taught further samples; None for "svd"."""
    probabilities: Tensor | None
    """float32 [N,K], the verdict of such classifiers on every sample; None for "svd"."""
    doubt: Tensor | None
    """float32 [N], how little each label is believed, see `unpoison.detection.doubt`; None for "svd"."""
    activations: Tensor | None
    """float32 [N,D], E1 whitened within the classes; None for "svd"."""
    choice: Choice


class Learned(NamedTuple):
    """The network M and what its training on the suspect data showed."""

    images: Tensor
    """uint8 [N,H,W,C], on the device of the computation, like all that follows."""
    labels: Tensor
    """int64 [N]."""
    model: Backbone
    choice: Choice
    record: TrainingRecord
    features: Tensor | None = None
    """float32 [N,D], frozen ones of the images, where there are any."""
