"""Both papers' evidence in one verdict, for users who prefer safety to time."""

from collections.abc import Mapping

from ..config import EnsembleConfig
from ..context import Context
from ..stages.combine import COMBINE
from ..stages.stage import Artefact, Executor
from . import bab, pdautor
from .base import MethodInfo
from .registry import register


def find(inputs: Mapping[str, Artefact], config: EnsembleConfig, executor: Executor, context: Context) -> Artefact:
    """What either method flags. See `unpoison.methods.base.Find`."""
    first = pdautor.find(inputs, config.pdautor, executor, context)
    second = bab.find(inputs, config.bab, executor, context)
    return executor.run(COMBINE, {"store": inputs["store"], "pdautor": first, "bab": second}, None, context)


register(
    MethodInfo(
        name="ensemble",
        find=find,
        preset=EnsembleConfig.preset,
        config_class=EnsembleConfig,
        on_poison="restore",
        source="PD-AutoR and BaB together",
    )
)
