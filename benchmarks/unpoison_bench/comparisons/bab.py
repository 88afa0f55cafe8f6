"""The tables and figures of BaB, section 5."""

import dataclasses
from typing import Any

from ..comparison import Comparison, Line
from ..plots import against
from ..published import PUBLISHED
from ..runs import Run
from ..scales import Scale
from ..table import Column, number, percent

RATES = {
    "cifar10": {"badnets": 0.05, "blend": 0.1, "composite": 0.05, "sig": 0.05, "refool": 0.05},
    "gtsrb": {"badnets": 0.05, "blend": 0.1, "composite": 0.01, "sig": 0.01, "refool": 0.01},
}
"""By dataset and attack. The paper does not print its rates; attacks that need images of one class are limited by it:
5 % of CIFAR-10 are half of a class."""
CLEAN_LABEL = ("sig", "refool")
PRESSURE = (0.5, 0.7)
ALPHAS = (0.0, 0.0003, 0.001, 0.002, 0.005, 0.2)
"""Those of the paper's section 5.4, and the .2 that it uses everywhere else."""
PUBLISHED_RULE = "BaB, as published"
GTSRB_PAPER = (("verification.models", 5), ("verification.alpha", 0.3))
"""How the published settings for GTSRB differ from those for CIFAR-10."""

TRAINED = (Column("ASR", "asr", percent(2)), Column("CA", "accuracy", percent(2)))
KEPT = (Column("CDR", "cdr", percent(2)), Column("PDR", "pdr", percent(2)))
COUNTS = (
    Column("clean data", "clean", number(0)),
    Column("residual poison", "residual", number(0)),
    *KEPT,
)
TARGETS = "target classes are the paper's: 0, and 1 for SIG and Refool on GTSRB; composite joins classes 1 and 2"
UNSAID = "the paper does not print its rates of poison: " + "; ".join(
    f"{dataset}: " + ", ".join(f"{attack} {100 * rate:g} %" for attack, rate in rates.items())
    for dataset, rates in RATES.items()
)
TWO = f'"BaB" is the default preset, "{PUBLISHED_RULE}" the published rule, N, α, R and verification training'
NO_CBA = (
    "CBA is left out: our composite attack poisons images of one class, a tenth of the set, and cannot reach such rates"
)


def poisoned(scale: Scale, dataset: str, *attacks: str, rate: float | None = None, **more: Any) -> Run:
    """A run on data that is poisoned as in the paper; without attacks it is clean."""
    clean_label = any(attack in CLEAN_LABEL for attack in attacks)
    if rate is None:
        rate = RATES[dataset][attacks[0]] if attacks else 0.0
    return Run(
        dataset=dataset,
        attacks=attacks,
        rate=rate,
        target=int(dataset == "gtsrb" and clean_label),
        method="bab",
        scale=scale.name,
        **more,
    )


def as_published(run: Run, *changes: tuple[str, Any]) -> Run:
    """The same with the published settings."""
    settings = GTSRB_PAPER if run.dataset == "gtsrb" else ()
    return dataclasses.replace(run, preset="paper", changes=(*settings, *changes))


def _trained(name: str, row: str, run: Run, *, nad: bool) -> list[Line]:
    """What networks learn from the data as it came, after NAD, and from what BaB keeps."""
    parts = [("no defence", run, "input"), ("BaB", run, "output"), (PUBLISHED_RULE, as_published(run), "output")]
    if nad:
        parts.insert(1, ("NAD", run, "healed"))
    return [
        Line(
            row=row,
            group=group,
            run=measured,
            part=f"downstream.{part}",
            published=PUBLISHED[name].get(f"{row}, {'BaB' if group == PUBLISHED_RULE else group}", {}),
        )
        for group, measured, part in parts
    ]


def _attacked(scale: Scale) -> list[tuple[str, Run]]:
    return [
        (f"{dataset} {attack}", poisoned(scale, dataset, attack))
        for dataset, rates in RATES.items()
        for attack in scale.some(list(rates))
    ]


def _table_1(scale: Scale) -> list[Line]:
    clean = [
        Line(
            row=f"{dataset} clean",
            group="no defence",
            run=poisoned(scale, dataset),
            part="downstream.input",
            published=PUBLISHED["bab-table1"][f"{dataset} clean, no defence"],
        )
        for dataset in RATES
    ]
    return clean + [line for row, run in _attacked(scale) for line in _trained("bab-table1", row, run, nad=True)]


def _table_2(scale: Scale) -> list[Line]:
    published = PUBLISHED["bab-table2"]
    return [
        Line(row=row, group=group, run=measured, part="detection", published=published[row])
        for row, run in _attacked(scale)
        for group, measured in (("BaB", run), (PUBLISHED_RULE, as_published(run)))
    ]


def _pressure(name: str, scale: Scale, choices: tuple[tuple[str, ...], ...]) -> list[Line]:
    # Two rates are no list to cut, but one of them is enough to see that it runs.
    rates = PRESSURE[:1] if scale.short else PRESSURE
    return [
        line
        for attacks in choices
        for rate in rates
        for line in _trained(
            name,
            f"{'+'.join(attacks)} {100 * rate:g} %",
            poisoned(scale, "cifar10", *attacks, rate=rate),
            nad=False,
        )
    ]


def _figure_5(scale: Scale) -> list[Line]:
    lines = []
    for attack in scale.some(list(RATES["cifar10"])):
        run = as_published(poisoned(scale, "cifar10", attack, downstream=False), ("verification.models", scale.models))
        lines += [
            Line(row=f"N = {n}", group=attack, x=n, run=run, part=f"by_models.{n}") for n in range(1, scale.models + 1)
        ]
    return lines


def _figure_6(scale: Scale) -> list[Line]:
    lines = []
    for attack in scale.some(list(RATES["cifar10"])):
        run = poisoned(scale, "cifar10", attack, downstream=False)
        published = as_published(run)
        models = published.config().verification.models  # type: ignore[union-attr]
        lines += [
            Line(
                row=f"α = {alpha:g}",
                group=attack,
                x=alpha,
                run=as_published(run, ("verification.alpha", alpha)),
                part=f"by_models.{models}",
            )
            for alpha in scale.some(ALPHAS)
        ]
    return lines


def _comparison(kind: str, number: int, title: str, *remarks: str, **more: Any) -> Comparison:
    name = f"bab-{'fig' if kind == 'figure' else kind}{number}"
    return Comparison(name=name, title=f"{name}: {title}", source=f"BaB, {kind} {number}", remarks=remarks, **more)


COMPARISONS = (
    _comparison(
        "table", 1, "attack success rate and clean accuracy", TWO, UNSAID, TARGETS,
        "all networks have the budget of the scale; the paper trains 100 epochs of Adam",
        columns=TRAINED, lines=_table_1,
    ),
    _comparison(
        "table", 2, "what is kept of clean and poisoned data", TWO, UNSAID, TARGETS, columns=KEPT, lines=_table_2
    ),
    _comparison(
        "table", 3, "high rates of poison", TWO, NO_CBA, columns=TRAINED,
        lines=lambda scale: _pressure("bab-table3", scale, (("badnets",), ("blend",))),
    ),
    _comparison(
        "table", 4, "high rates of two attacks", TWO, NO_CBA, "ASR is the higher of both attacks' rates",
        columns=TRAINED, lines=lambda scale: _pressure("bab-table4", scale, (("badnets", "blend"),)),
    ),
    _comparison(
        "figure", 5, "number of verification models", UNSAID, "the published settings; the first N models of one run",
        "the paper prints curves, no numbers", columns=COUNTS, lines=_figure_5, plot=against("N"),
    ),
    _comparison(
        "figure", 6, "suppression α of our own backdoor", UNSAID, "the published settings but for α",
        "the paper prints bars, no numbers", columns=COUNTS, lines=_figure_6, plot=against("α"),
    ),
)  # fmt: skip
