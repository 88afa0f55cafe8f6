"""What decides the result of a run: the keys of its stages, worked out without doing any."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..context import Context
from ..report import OnPoison
from ..stages.duplicates import DUPLICATES
from ..stages.features import FEATURES, with_features
from ..stages.keys import artefact_key
from ..stages.restore import RESTORER, Treatment
from ..stages.stage import Artefact, Stage
from .base import MethodInfo


class Planner:
    """An `Executor` that does nothing: its artefacts have keys, and no folders."""

    def run(self, stage: Stage, inputs: Mapping[str, Artefact], config: Any, context: Context) -> Artefact:
        """See `Executor.run`."""
        return _planned(artefact_key(stage, inputs, config, context.device, context.seed))


def planned_keys(
    method: MethodInfo, config: Any, on_poison: OnPoison, content: str, given: Mapping[str, str], context: Context
) -> list[str]:
    """Of a method's last stages, and so of all before them, on images with this content.

    Args:
        content: digest of the images.
        given: digests of what the user brings, by what it is among the inputs: `features`, and a `restorer` to start
            from.
    """
    planner, inputs = Planner(), {"store": _planned(content)}
    copies = planner.run(DUPLICATES, inputs, None, context)
    if FEATURES in given:
        inputs[FEATURES] = _planned(given[FEATURES])
    inputs = with_features(inputs, config, planner, context)
    inputs["found"] = method.find(inputs, config, planner, context)
    if RESTORER in given:
        inputs[RESTORER] = _planned(given[RESTORER])
    treatment = Treatment(on_poison=on_poison, restoration=config.restoration)
    return [copies.key, method.finish(inputs, treatment, planner, context).key]


def _planned(key: str) -> Artefact:
    return Artefact(Path(), key)
