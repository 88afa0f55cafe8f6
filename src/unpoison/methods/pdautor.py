"""PD-AutoR (Chen et al.): detect by fused features, restore with a learned restorer, check, relabel.

The steps stand in the paper's order: 3.1 PD detector; 3.2 content restorator training and 3.3 PD restorator follow in
`restoration/repair.py`, since every method's finds can be restored. Between them the default preset explains the poison
from its pixels and repairs the flags with that explanation.
"""

from collections.abc import Mapping

from ..config import PDAutoRConfig
from ..context import Context
from ..stages.detect import DETECT
from ..stages.explain import EXPLAIN
from ..stages.learn import LEARN
from ..stages.stage import Artefact, Executor
from .base import MethodInfo
from .registry import register


def find(inputs: Mapping[str, Artefact], config: PDAutoRConfig, executor: Executor, context: Context) -> Artefact:
    """Section 3.1: divides D into D_p, the flagged samples, and D_c. See `unpoison.methods.base.Find`."""
    detection, store = config.detection, {"store": inputs["store"]}
    # Components 1 to 3: the model M, training-time and post-training features.
    learned = executor.run(LEARN, store, detection.network, context)
    # Components 4 and 5: fusion and outliers.
    detected = executor.run(DETECT, {**inputs, "learned": learned}, detection, context)
    # Not in the paper: what the pixels of the outliers share.
    return executor.run(EXPLAIN, {**store, "learned": learned, "detected": detected}, detection, context)


register(
    MethodInfo(
        name="pdautor",
        find=find,
        preset=PDAutoRConfig.preset,
        config_class=PDAutoRConfig,
        on_poison="restore",
        source="Chen et al., PD-AutoR: Towards Automatic Restoration of Poisoned Examples in Machine Learning",
    )
)
