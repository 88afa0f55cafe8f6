"""The PD detector of PD-AutoR (section 3.1): train on the suspect data, fuse features, find outliers."""

import numpy as np
import numpy.typing as npt
import torch

from ..context import Context
from ..report import ClassEvidence
from ..training.fit import new_network
from ..training.loop import on_device
from .by_mixture import detect_by_mixture
from .choice import choose
from .config import DetectionConfig, NetworkConfig
from .detected import Detection, Learned
from .features import fuse, record_training
from .svd import svd_scores, threshold_at


def detect(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: DetectionConfig,
    context: Context,
) -> Detection:
    """Scores and flags uint8 images [N,H,W,C] with labels int64 [N]."""
    learned = learn(images, labels, num_classes, config, context)
    return judge(learned, num_classes, config, context)


def learn(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: NetworkConfig,
    context: Context,
) -> Learned:
    """Components 1 to 3: trains M on uint8 images [N,H,W,C] with labels int64 [N] and keeps the features."""
    with context.stage("choose"):
        choice = choose(config, images, labels, num_classes, context)
    x, y = on_device(images, context.device), torch.from_numpy(labels).to(context.device)
    model = new_network(choice, images.shape[3], num_classes, context.seed)
    with context.stage("train on suspect data") as part:
        record = record_training(model, x, y, choice.training, part)
    return Learned(x, y, model, choice, record)


def judge(learned: Learned, num_classes: int, config: DetectionConfig, context: Context) -> Detection:
    """Components 4 and 5: finds outliers among the features of what `learn` has trained."""
    if config.outliers == "svd":
        return _detect_by_svd(learned, num_classes, config)
    return detect_by_mixture(learned, num_classes, config, context)


def _detect_by_svd(learned: Learned, num_classes: int, config: DetectionConfig) -> Detection:
    """The paper's algorithm: fused feature, squared projection, the top 1.5 ε N samples (Tran et al., 2018)."""
    y, record = learned.labels, learned.record
    score = svd_scores(fuse(record.activations, record.losses, config.loss_weight), y)
    threshold = threshold_at(score, config.poison_rate)
    flagged = score > threshold
    classes = [
        ClassEvidence(
            label=label,
            size=int((y == label).sum()),
            evidence=float(score[y == label].max()),
            poisoned=bool(flagged[y == label].any()),
            details={"needed": threshold},
        )
        for label in range(num_classes)
    ]
    return Detection(
        score=score, threshold=threshold, flagged=flagged, kind=np.full(len(y), "backdoor"), classes=classes,
        suspects={}, verifier=None, taught=None, probabilities=None, doubt=None, activations=None,
        model=learned.model, choice=learned.choice,
    )  # fmt: skip
