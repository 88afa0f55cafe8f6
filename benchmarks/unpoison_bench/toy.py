"""A method that computes next to nothing, to time what the wrapper does around one."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unpoison.context import Context
from unpoison.data.store import ImageStore
from unpoison.explanation.found import Found
from unpoison.explanation.verdict import unexplained
from unpoison.methods import MethodInfo, register
from unpoison.restoration import DEFAULT, RestorationConfig
from unpoison.restoration.repair import Repair
from unpoison.stages import Artefact, Executor, Stage, register_stage
from unpoison.stages.restore import Restored, Treatment
from unpoison.stages.stage import Inputs
from unpoison.training.backbones import create_backbone


@dataclasses.dataclass(frozen=True, kw_only=True)
class EveryConfig:
    """Settings of the method."""

    every: int | None = None
    """Each of so many images is inverted, the first among them; none where None."""
    restoration: RestorationConfig = DEFAULT


def _find(inputs: Inputs, out: Path, config: EveryConfig, context: Context) -> None:
    store = ImageStore.open(inputs["store"])
    score = np.zeros(len(store.labels), np.float32)
    if config.every is not None:
        score[:: config.every] = 1
    model = create_backbone("conv5", store.images.shape[3], store.num_classes, 1)
    Found(explanation=unexplained(score, 0.5), threshold=0.5, classes=[], model=model, notes=[]).save(out)


def _restore(inputs: Inputs, out: Path, treatment: Treatment, context: Context) -> None:
    store, found = ImageStore.open(inputs["store"]), Found.load(inputs["found"], context.device)
    index = np.flatnonzero(found.flagged) if treatment.on_poison == "restore" else np.empty(0, np.int64)
    count = len(store.labels)
    repair = Repair(
        action=np.where(found.flagged, treatment.on_poison, "keep"), label=store.labels,
        quality=np.ones(count, np.float32), reason=np.full(count, ""), restored_index=index,
        restored_images=255 - store.images[index], restorer=None, notes=[],
    )  # fmt: skip
    Restored(repair, [], None).save(out)


_FIND = register_stage(Stage(name="every-find", makes="what was counted", run=_find, config_class=EveryConfig))
_RESTORE = register_stage(Stage(name="every-restore", makes="what was inverted", run=_restore, config_class=Treatment))


def _finish(inputs: Mapping[str, Artefact], treatment: Treatment, executor: Executor, context: Context) -> Artefact:
    return executor.run(_RESTORE, inputs, treatment, context)


def register_every() -> None:
    """Makes it known as method "every", for images of 8x8 pixels or more."""
    register(
        MethodInfo(
            name="every",
            find=lambda inputs, config, executor, context: executor.run(_FIND, inputs, config, context),
            finish=_finish,
            preset=lambda _: EveryConfig(),
            config_class=EveryConfig,
            on_poison="restore",
            source="none",
        )
    )
