"""PD-AutoR with flags that are put in by hand, right but for a chosen share of errors (section 5.4.6)."""

import numpy as np
import numpy.typing as npt

from unpoison.config import PDAutoRConfig
from unpoison.context import Context
from unpoison.detection.detector import learn
from unpoison.explanation.found import Found
from unpoison.explanation.verdict import Explanation, Finding
from unpoison.report import ClassEvidence
from unpoison.restoration.classifier import train_classifier
from unpoison.training.loop import on_device, predict
from unpoison.triggers import search_trigger

Flags = npt.NDArray[np.bool_]


def false_flags(poisoned: Flags, false_positives: float, false_negatives: float, seed: int) -> Flags:
    """bool [N]: the poison, bool [N], with this fraction of the clean samples added and of the poisoned left out."""
    rng = np.random.default_rng(seed)
    flagged = poisoned.copy()
    for among, share in ((~poisoned, false_positives), (poisoned, false_negatives)):
        members = rng.permutation(np.flatnonzero(among))
        wrong = members[: round(share * len(members))]
        flagged[wrong] = ~poisoned[wrong]
    return flagged


def find_by_hand(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    config: PDAutoRConfig,
    context: Context,
    *,
    flagged: Flags,
) -> Found:
    """Takes flags, bool [N], as they are, and explains them as the default does. See `methods.base.Find`."""
    learned = learn(images, labels, num_classes, config.detection, context)
    findings = []
    if flagged.any():
        with context.stage("explain") as part:
            verifier = train_classifier(images, labels, ~flagged, num_classes, learned.choice, part.part(0, 0.5))
            probabilities = predict(verifier, on_device(images, context.device)).logits.softmax(1).cpu().numpy()
            trigger = search_trigger(images, flagged, probabilities, part.part(0.5, 1))
        classes = np.unique(labels[flagged]).tolist()
        findings = [Finding(classes=classes, members=flagged, estimate=trigger)]
    score = np.where(flagged, 1, -1).astype(np.float32)
    members = [labels == label for label in range(num_classes)]
    return Found(
        explanation=Explanation(score=score, kind=np.full(len(labels), "backdoor"), findings=findings),
        classes=[
            ClassEvidence(label=label, size=int(member.sum()), evidence=0.0, poisoned=bool(flagged[member].any()))
            for label, member in enumerate(members)
        ],
        model=learned.model,
        choice=learned.choice,
        notes=["the flags were put in by hand"],
    )
