"""PD-AutoR with flags that are put in by hand, right but for a chosen share of errors (section 5.4.6)."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unpoison.config import PDAutoRConfig
from unpoison.context import Context
from unpoison.data.store import ImageStore
from unpoison.detection.files import load_learned
from unpoison.explanation.found import Found
from unpoison.explanation.verdict import Explanation, Finding
from unpoison.methods import MethodInfo
from unpoison.report import ClassEvidence
from unpoison.restoration.classifier import train_classifier
from unpoison.stages import Artefact, Executor, Stage, register_stage
from unpoison.stages.learn import LEARN
from unpoison.stages.stage import Inputs
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


@dataclasses.dataclass(frozen=True)
class ByHand:
    """Which samples are flagged."""

    positions: tuple[int, ...]


def by_hand(flagged: Flags) -> MethodInfo:
    """PD-AutoR with flags, bool [N], in place of its detector."""

    def find(inputs: Mapping[str, Artefact], config: PDAutoRConfig, executor: Executor, context: Context) -> Artefact:
        store = inputs["store"]
        learned = executor.run(LEARN, {"store": store}, config.detection.network, context)
        flags = ByHand(tuple(np.flatnonzero(flagged).tolist()))
        return executor.run(_BY_HAND, {"store": store, "learned": learned}, flags, context)

    return MethodInfo(
        name="flags", find=find, preset=PDAutoRConfig.preset, config_class=PDAutoRConfig, on_poison="restore",
        source="PD-AutoR, section 5.4.6",
    )  # fmt: skip


def _run(inputs: Inputs, out: Path, config: ByHand, context: Context) -> None:
    """Takes flags as they are, and explains them as the default does."""
    store = ImageStore.open(inputs["store"])
    images, labels, num_classes = store.images, store.labels, store.num_classes
    learned = load_learned(inputs["learned"], store, context.device)
    flagged = np.zeros(len(labels), np.bool_)
    flagged[list(config.positions)] = True
    findings = []
    if flagged.any():
        with context.stage("explain") as part:
            verifier = train_classifier(images, labels, ~flagged, num_classes, learned.choice, part.part(0, 0.5))
            probabilities = predict(verifier, on_device(images, context.device)).logits.softmax(1).cpu().numpy()
            trigger = search_trigger(images, flagged, probabilities, part.part(0.5, 1))
        classes = np.unique(labels[flagged]).tolist()
        findings = [Finding(classes=classes, members=flagged, trigger=trigger)]
    score = np.where(flagged, 1, -1).astype(np.float32)
    members = [labels == label for label in range(num_classes)]
    Found(
        explanation=Explanation(score=score, kind=np.full(len(labels), "backdoor"), findings=findings),
        classes=[
            ClassEvidence(label=label, size=int(member.sum()), evidence=0.0, poisoned=bool(flagged[member].any()))
            for label, member in enumerate(members)
        ],
        model=learned.model,
        choice=learned.choice,
        notes=["the flags were put in by hand"],
    ).save(out)


_BY_HAND = register_stage(Stage(name="by-hand", makes="what was flagged by hand", run=_run, config_class=ByHand))
