"""The method of `corner` in two steps, whose first notes in `CALLS` that it was called."""

import dataclasses

import numpy as np
import torch

import corner
from unpoison.explanation.found import Found
from unpoison.explanation.verdict import Explanation, Finding
from unpoison.methods import register
from unpoison.methods.base import MethodInfo
from unpoison.methods.cleaning import cleaning
from unpoison.report import ClassEvidence
from unpoison.training.backbones import create_backbone
from unpoison.triggers import Patch

CALLS: list[str] = []


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoStepConfig:
    """Only the first changes what is found."""

    searching: int = 0
    quality: int = 0


def make_found(images, labels, num_classes=corner.CLASSES, **changes):
    """What is flagged are the images with a white last pixel."""
    flagged = (images[:, -1, -1] == 255).all(1)
    torch.manual_seed(0)
    finding = Finding(classes=[0], members=flagged, estimate=Patch(images.shape[1:]))
    values = {
        "explanation": Explanation(
            score=np.where(flagged, 2.5, -1).astype(np.float32), kind=np.full(len(labels), "backdoor"),
            findings=[finding],
        ),
        "classes": [
            ClassEvidence(
                label=c, size=int((labels == c).sum()), evidence=0.5, poisoned=c == 0, details={"needed": 1.0}
            )
            for c in range(num_classes)
        ],
        "model": create_backbone("resnet9", images.shape[3], num_classes, 2),
        "notes": ["found"],
    }  # fmt: skip
    return Found(**{**values, **changes})


def find(images, labels, num_classes, config, context):
    CALLS.append("find")
    with context.stage("detect"):
        return make_found(images, labels, num_classes)


def finish(
    found, images, labels, num_classes, *, config, on_poison, restorer, context, keep=None,
    classifiers=None,
):  # fmt: skip
    CALLS.append("finish")
    assert found.model.head.out_features == num_classes
    flagged = found.flagged & ~keep
    # `corner` flags what is white at the end.
    seen = np.array(images)
    seen[found.flagged & keep, -1, -1] = 0
    with context.stage("restore"):
        outcome = corner.run(
            seen, labels, num_classes, config=corner.CornerConfig(), on_poison=on_poison, restorer=restorer,
            context=context,
        )  # fmt: skip
    assert (outcome.report.flagged == flagged).all()
    report = dataclasses.replace(
        outcome.report, score=found.explanation.score, notes=list(found.notes), timings=dict(context.progress.timings)
    )
    return dataclasses.replace(outcome, report=report)


register(
    MethodInfo(
        name="twostep", run=cleaning(find, finish), find=find, finish=finish, searching=lambda config: config.searching,
        preset=lambda _: TwoStepConfig(), config_class=TwoStepConfig, on_poison="restore", source="for the tests",
    )
)  # fmt: skip
