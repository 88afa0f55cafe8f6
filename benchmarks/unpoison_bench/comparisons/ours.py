"""Our own comparison: all attacks and rates, our methods and published detectors, on CIFAR-10."""

import dataclasses

from unpoison.attacks.targets import Target

from ..baselines import BASELINES, TOLD
from ..comparison import Comparison, Line
from ..runs import Run
from ..scales import Scale
from ..table import Column, number, percent

TARGET = 0
ATTACKS = (
    "badnets", "blend", "sig", "wanet", "issba", "refool", "composite", "adaptive_blend", "badnets_dynamic",
)  # fmt: skip
RATES = (0.001, 0.003, 0.005, 0.01, 0.05, 0.1)
OF_ONE_CLASS = ("sig", "refool", "composite")
MOST_OF_ONE_CLASS = 0.05
"""A tenth of CIFAR-10 would be all images of a class."""
SMOKE_RATE = 0.05
"""Of a few dozen images per class."""
COLUMNS = (
    Column("average precision", "average_precision", number(3)),
    Column("TPR", "tpr", percent(1)),
    Column("FPR", "fpr", percent(2)),
    Column("flagged", "flagged", number(0)),
    Column("ASR", "asr", percent(1)),
    Column("accuracy", "accuracy", percent(1)),
)
OURS = ("pdautor", "bab", "ensemble")


def _lines(scale: Scale) -> list[Line]:
    clean = Run(dataset="cifar10", method="detectors", scale=scale.name)
    rows = {"clean": clean}
    targets: list[tuple[str, str, Target]] = [(attack, attack, TARGET) for attack in scale.some(ATTACKS)]
    for name, attack, target in [*targets, ("badnets, all to all", "badnets", "all-to-all")]:
        for rate in rates(attack, scale):
            rows[f"{name} {100 * rate:g} %"] = dataclasses.replace(clean, attacks=(attack,), rate=rate, target=target)
    return [line for row, run in rows.items() for line in _compared(row, run)]


def rates(attack: str, scale: Scale) -> list[float]:
    """The rates at which an attack is measured."""
    if scale.short:
        return [SMOKE_RATE]
    return [rate for rate in RATES if attack not in OF_ONE_CLASS or rate <= MOST_OF_ONE_CLASS]


def _compared(row: str, run: Run) -> list[Line]:
    """Every detector on one poisoned dataset, after the network whose features most of them see."""
    return [
        Line(row=row, group="network", run=run, part="model"),
        *(Line(row=row, group=name, run=run, part=f"detectors.{name}") for name in (*OURS, *BASELINES)),
    ]


COMPARISONS = (
    Comparison(
        name="ours",
        title="ours: detection by attack, rate and detector",
        source="",
        columns=COLUMNS,
        lines=_lines,
        remarks=(
            "every method with its default settings; the published detectors see the features of pdautor's network, "
            "whose ASR and accuracy on the test set are those below",
            f"{', '.join(TOLD)} are told the true rate of poison, and have nothing to say where there is none",
            f"{', '.join(OF_ONE_CLASS)} poison images of one class, a tenth of the set: no rate above "
            f"{100 * MOST_OF_ONE_CLASS:g} %",
            f"the target class is {TARGET}; composite joins classes 1 and 2",
        ),
        pivot=True,
    ),
)
