"""The method of `corner`, which explains what it finds by a trigger, and notes in `CALLS` which of its stages ran."""

import dataclasses

import numpy as np

import corner
from unpoison.data.store import ImageStore
from unpoison.explanation.verdict import Explanation, Finding
from unpoison.methods import register
from unpoison.methods.base import MethodInfo
from unpoison.report import ClassEvidence
from unpoison.restoration import DEFAULT, RestorationConfig
from unpoison.stages import Stage, register_stage
from unpoison.stages.restore import Treatment
from unpoison.triggers import Patch

CALLS: list[str] = []


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoStepConfig:
    """Only the first changes what is found."""

    searching: int = 0
    restoration: RestorationConfig = DEFAULT


def make_found(images, labels, num_classes=corner.CLASSES, **changes):
    """What is flagged are the images with a white last pixel."""
    flagged = corner.is_flagged(images)
    finding = Finding(classes=[0], members=flagged, trigger=Patch(images.shape[1:]))
    values = {
        "explanation": Explanation(
            score=np.where(flagged, 2.5, -1).astype(np.float32), kind=np.full(len(labels), "backdoor"),
            findings=[finding],
        ),
        "threshold": 0.0,
        "classes": [
            ClassEvidence(
                label=c, size=int((labels == c).sum()), evidence=0.5, poisoned=c == 0, details={"needed": 1.0}
            )
            for c in range(num_classes)
        ],
        "notes": ["found"],
    }  # fmt: skip
    return corner.found_by_hand(images, labels, num_classes, **{**values, **changes})


def find_twostep(inputs, out, searching, context):
    CALLS.append("find")
    store = ImageStore.open(inputs["store"])
    with context.stage("detect"):
        make_found(store.images, store.labels, store.num_classes).save(out)


def restore_twostep(inputs, out, treatment, context):
    CALLS.append("finish")
    with context.stage("restore"):
        corner.restore_corners(inputs, out, treatment, context)


FIND = register_stage(Stage(name="twostep-find", makes="what was detected", run=find_twostep, config_class=int))
RESTORE = register_stage(
    Stage(name="twostep-restore", makes="what was restored", run=restore_twostep, config_class=Treatment)
)


def find(inputs, config, executor, context):
    return executor.run(FIND, inputs, config.searching, context)


def finish(inputs, treatment, executor, context):
    return executor.run(RESTORE, inputs, treatment, context)


register(
    MethodInfo(
        name="twostep", find=find, finish=finish, preset=lambda _: TwoStepConfig(), config_class=TwoStepConfig,
        on_poison="restore", source="for the tests",
    )
)  # fmt: skip
