"""BaB, backdoor against backdoor (Chen et al., SafeAI 2023): a weak backdoor of our own wins on clean samples only.

The steps stand in the paper's order: 4.1 data preprocessing, 4.2 verification model training, 4.3 inference. Step 4.4,
formal training on what is left, is the user's own. The default preset lets scouts choose cleaner implants, steers
the strength of our backdoor, and decides by class; then the trigger that it finds in the pixels repairs the flags.
"""

from collections.abc import Mapping

from ..config import BaBConfig
from ..context import Context
from ..stages.decide import DECIDE
from ..stages.stage import Artefact, Executor
from ..stages.verify import VERIFY
from .base import MethodInfo
from .registry import register


def find(inputs: Mapping[str, Artefact], config: BaBConfig, executor: Executor, context: Context) -> Artefact:
    """Sections 4.1 to 4.3. See `unpoison.methods.base.Find`."""
    store = {"store": inputs["store"]}
    # 4.1 Data preprocessing, 4.2 verification model training, 4.3 inference.
    answers = executor.run(VERIFY, store, config.verification, context)
    # Not in the paper: the decision by class, and what the pixels of those that resist share.
    return executor.run(DECIDE, {**store, "answers": answers}, config.verification, context)


register(
    MethodInfo(
        name="bab",
        find=find,
        preset=BaBConfig.preset,
        config_class=BaBConfig,
        on_poison="drop",
        source="Chen et al., Bab: A novel algorithm for training clean model based on poisoned data, SafeAI 2023",
    )
)
