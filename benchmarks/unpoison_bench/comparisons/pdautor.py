"""The tables of PD-AutoR (sections 5.4 to 5.6) and its figure 15; its figures 11 to 14 lie beside the tables."""

from typing import Any

from ..comparison import Comparison, Line
from ..plots import against, sheets
from ..published import PUBLISHED
from ..rows import SOURCES
from ..runs import Run
from ..scales import Scale
from ..table import Column, number, percent

RATE = 0.01
"""The paper's default."""
ATTACKS = ("badnets", "blend", "issba", "wanet")
DATASETS = ("cifar10", "gtsrb")
RATES = (0.01, 0.04, 0.07, 0.1)
ERRORS = (0.0, 0.01, 0.02, 0.04, 0.08)
PARTS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""β of figure 15, whose values the paper does not print."""

NO_DATA = "SVHN, CelebA and MNIST are left out: the benchmarks have only CIFAR-10 and GTSRB"
GTSRB = "GTSRB: all 43 classes at 32x32 pixels; the paper takes the ten largest at 48x48"
TARGET = "the paper does not say which class is the target: here 0 on CIFAR-10 and 1 on GTSRB"

RESTORATION = (
    Column("TPR", "detection.tpr", percent(1)),
    Column("FPR", "detection.fpr", percent(2)),
    Column("APD", "restoration.apd_all", number(4)),
    Column("APD, nothing done", "restoration.apd_nothing", number(4)),
    Column("changed pixels, ratio", "restoration.error_changed_ratio", number(3)),
    Column("LRA", "restoration.lra_all", percent(2)),
    Column("DMA_B", "downstream.kept.accuracy", percent(2)),
    Column("DMA", "downstream.output.accuracy", percent(2)),
    Column("accuracy, input", "downstream.input.accuracy", percent(2)),
    Column("ASR, input", "downstream.input.asr", percent(1)),
    Column("ASR, DMA's", "downstream.output.asr", percent(1)),
)
STAGES = (
    Column("detection, s", "stages.detection", number(0)),
    Column("content, s", "stages.content", number(0)),
    Column("labels, s", "stages.labels", number(0)),
    Column("all, s", "stages.total", number(0)),
)


def poisoned(scale: Scale, dataset: str = "cifar10", *attacks: str, rate: float = RATE, **more: Any) -> Run:
    """A run on data that is poisoned as in section 5.1.5; by BadNets unless other attacks are named."""
    return Run(
        dataset=dataset,
        attacks=attacks or ("badnets",),
        rate=rate,
        target=SOURCES[dataset].target,
        scale=scale.name,
        **more,
    )


def _restored(name: str, rows: dict[str, Run]) -> list[Line]:
    """A line per row, with the paper's figures of that row."""
    return [Line(row=row, run=run, published=PUBLISHED[name].get(row, {})) for row, run in rows.items()]


def _by_dataset(name: str, scale: Scale) -> list[Line]:
    return _restored(name, {dataset: poisoned(scale, dataset) for dataset in DATASETS})


def _table_2(scale: Scale) -> list[Line]:
    return _restored("pdautor-table2", {name: poisoned(scale, "cifar10", name) for name in scale.some(ATTACKS)})


def _table_3(scale: Scale) -> list[Line]:
    return _restored("pdautor-table3", {f"{100 * rate:g} %": poisoned(scale, rate=rate) for rate in scale.some(RATES)})


def _cyclegan(scale: Scale, *changes: tuple[str, Any]) -> Run:
    """A run whose flagged images are restored by the CycleGAN alone, with the default's other settings."""
    return poisoned(
        scale,
        changes=(
            ("restoration.use_estimate", False),
            ("restoration.cyclegan_epochs", 100),
            ("restoration.cyclegan_max_steps", scale.cyclegan_steps),
            *changes,
        ),
    )


def _table_4(scale: Scale) -> list[Line]:
    plain = ("restoration.transformer_depth", 0)
    return _restored(
        "pdautor-table4",
        {
            "ViT-aided U-Net": _cyclegan(scale),
            "U-Net": _cyclegan(scale, plain),
            "ViT-aided U-Net, trained on pairs": poisoned(scale),
            "U-Net, trained on pairs": poisoned(scale, changes=(plain,)),
        },
    )


def _table_5(scale: Scale) -> list[Line]:
    single = _cyclegan(scale, ("restoration.granularities", 1))
    return _restored("pdautor-table5", {"multi-granularity": _cyclegan(scale), "single-granularity": single})


def _table_6(scale: Scale) -> list[Line]:
    rows = {f"{100 * e:g} %": poisoned(scale, method="flags", false_positives=e) for e in scale.some(ERRORS)}
    return _restored("pdautor-table6", rows)


def _table_7(scale: Scale) -> list[Line]:
    rows = {f"{100 * e:g} %": poisoned(scale, method="flags", false_negatives=e) for e in scale.some(ERRORS)}
    return _restored("pdautor-table7", rows)


def _table_8(scale: Scale) -> list[Line]:
    same, different = ("badnets", "badnets_top_left"), ("badnets", "blend")
    cases = {
        "case 1": poisoned(scale, "cifar10", *same),
        "case 2": poisoned(scale, "cifar10", *same, overlap=True),
        "case 3": poisoned(scale, "cifar10", *different),
        "case 4": poisoned(scale, "cifar10", *different, overlap=True),
    }
    return _restored("pdautor-table8", {name: cases[name] for name in scale.some(list(cases))})


def _figure_15(scale: Scale) -> list[Line]:
    return [Line(row=f"β = {part:g}", x=part, run=poisoned(scale, part=part)) for part in scale.some(PARTS)]


def figure(number: int, title: str, **more: Any) -> Comparison:
    name = f"pdautor-fig{number}"
    return Comparison(name=name, title=f"{name}: {title}", source=f"PD-AutoR, figure {number}", **more)


def _table(number: int, title: str, *remarks: str, **more: Any) -> Comparison:
    name = f"pdautor-table{number}"
    settings: dict[str, Any] = {"columns": RESTORATION, "plot": sheets} | more
    return Comparison(
        name=name, title=f"{name}: {title}", source=f"PD-AutoR, table {number}", remarks=(*remarks, TARGET), **settings
    )


CURVES = "the paper prints curves, no numbers"
CYCLEGAN = (
    "the CycleGAN keeps the default's safeguards (it adds a correction, noise hides no code, the error on clean images "
    "is bounded) and width, and has the batches that the scale allows"
)
MEANINGS = (
    "APD and LRA count all that was restored, by mistake too; DMA_B, DMA and the input's accuracy are those of one "
    "network with one budget"
)

COMPARISONS = (
    _table(1, "restoration by dataset", MEANINGS, NO_DATA, GTSRB, lines=lambda s: _by_dataset("pdautor-table1", s)),
    _table(2, "restoration by attack", MEANINGS, lines=_table_2),
    _table(3, "restoration by rate of poison", MEANINGS, lines=_table_3),
    _table(
        4,
        "U-Net with and without a Vision Transformer",
        MEANINGS,
        CYCLEGAN,
        "rows without an addition train the CycleGAN; the others are the default, which trains the same network on "
        "pairs made with the estimated trigger",
        lines=_table_4,
    ),
    _table(5, "discriminators of three granularities and of one", MEANINGS, CYCLEGAN, lines=_table_5),
    _table(6, "false positives put into right flags", MEANINGS, lines=_table_6),
    _table(7, "false negatives put into right flags", MEANINGS, lines=_table_7),
    _table(
        8,
        "two attacks at once",
        MEANINGS,
        "cases 1 and 2: BadNets in two corners, on different images and on the same; cases 3 and 4: BadNets and Blend, "
        "likewise",
        lines=_table_8,
    ),
    _table(
        9,
        "seconds by stage",
        "the paper's are of other machines, networks and numbers of epochs",
        NO_DATA,
        GTSRB,
        lines=lambda s: _by_dataset("pdautor-table9", s),
        columns=STAGES,
        plot=None,
    ),
    figure(
        15,
        "restoration by size of the dataset",
        columns=tuple(column for column in RESTORATION if column.heading in ("APD", "LRA", "DMA_B", "DMA")),
        lines=_figure_15,
        remarks=(CURVES, "the paper does not print its values of β"),
        plot=against("β"),
    ),
)  # fmt: skip
