"""Detectors on features as methods: a network is trained on the suspect data, and its activations are judged.

Nothing explains what they flag, so it is dropped unless asked otherwise.
"""

from collections.abc import Mapping

from ..config import DetectorConfig
from ..context import Context
from ..detectors.base import Detector
from ..stages.ask import ASK, Question
from ..stages.learn import LEARN
from ..stages.stage import Artefact, Executor
from .base import MethodInfo


def method_of(detector: Detector) -> MethodInfo:
    """The method that asks a detector."""

    def find(inputs: Mapping[str, Artefact], config: DetectorConfig, executor: Executor, context: Context) -> Artefact:
        """See `unpoison.methods.base.Find`."""
        store = inputs["store"]
        learned = executor.run(LEARN, {"store": store}, config.network, context)
        question = Question(detector.name, config.poison_rate)
        return executor.run(ASK, {"store": store, "learned": learned}, question, context)

    return MethodInfo(
        name=detector.name,
        find=find,
        preset=DetectorConfig.preset,
        config_class=DetectorConfig,
        on_poison="drop",
        source=detector.source,
    )
