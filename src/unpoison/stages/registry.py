"""All stages by name."""

from ..errors import ConfigError
from .ask import ASK
from .classify import CLASSIFY
from .combine import COMBINE
from .decide import DECIDE
from .detect import DETECT
from .duplicates import DUPLICATES
from .explain import EXPLAIN
from .features import LOOK
from .learn import LEARN
from .restore import RESTORE
from .stage import Stage
from .verify import VERIFY

_STAGES = {
    stage.name: stage
    for stage in (DUPLICATES, LOOK, LEARN, DETECT, EXPLAIN, VERIFY, DECIDE, COMBINE, ASK, CLASSIFY, RESTORE)
}


def register_stage(stage: Stage) -> Stage:
    """Makes a stage known by its name, so that another process finds it."""
    _STAGES[stage.name] = stage
    return stage


def stages() -> list[Stage]:
    """All that are known."""
    return list(_STAGES.values())


def get_stage(name: str) -> Stage:
    """Looks a stage up.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in _STAGES:
        raise ConfigError(f"unknown stage {name!r}: register it with register_stage, in the process that runs it, too")
    return _STAGES[name]
