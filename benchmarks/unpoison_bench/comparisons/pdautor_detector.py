"""The figures of PD-AutoR that show its detector: section 3.1.3 and section 5.3."""

import dataclasses

from ..comparison import Comparison, Line
from ..plots import loss_curves, pr_curves
from ..runs import Run
from ..scales import Scale
from ..table import Column, number, percent
from .pdautor import ATTACKS, CURVES, DATASETS, GTSRB, NO_DATA, RATES, TARGET, figure, poisoned

DETECTION = (
    Column("AP", "average_precision", number(3)),
    Column("TPR", "tpr", percent(1)),
    Column("FPR", "fpr", percent(2)),
)
FEATURES = {
    "SVD, post-training": "post_training",
    "SVD, fused": "svd",
    "mixture, post-training": "mixture_post_training",
    "mixture, fused": "mixture",
    "whole default": "pdautor",
}
"""Detectors of the figures, by what they are called there."""
FEATURES_REMARK = (
    "SVD is the paper's outlier score, with λ = 1 for fused features and λ = 0 for post-training ones, and flags 1.5 "
    "times the true rate; mixture is the default's detector, from which shuffled losses take the training-time "
    "features; the whole default then repairs the flags by the trigger that it finds in the pixels"
)


def _figure_4(scale: Scale) -> list[Line]:
    return [Line(row="cifar10 badnets 1 %", run=poisoned(scale, method="detectors"))]


def _features(row: str, run: Run, prefix: str = "") -> list[Line]:
    run = dataclasses.replace(run, method="detectors")
    return [Line(row=row, group=f"{prefix}{name}", run=run, part=f"detectors.{key}") for name, key in FEATURES.items()]


def _figure_8(scale: Scale) -> list[Line]:
    return [
        line
        for dataset in DATASETS
        for attack in scale.some(ATTACKS)
        for line in _features(f"{dataset} {attack}", poisoned(scale, dataset, attack))
    ]


def _figure_9(scale: Scale) -> list[Line]:
    return [line for rate in scale.some(RATES) for line in _features(f"{100 * rate:g} %", poisoned(scale, rate=rate))]


def _figure_10(scale: Scale) -> list[Line]:
    lines = []
    for depth in (18, 34):
        changes = (("detection.backbone", f"resnet{depth}"), ("detection.width", scale.resnet_width))
        lines += _features("cifar10 badnets", poisoned(scale, changes=changes), prefix=f"ResNet-{depth}, ")
    return lines


COMPARISONS: tuple[Comparison, ...] = (
    figure(
        4,
        "mean loss of clean and poisoned samples by epoch",
        columns=(
            Column("epochs", "training.epochs", number(0)),
            Column("poisoned samples", "poisoned", number(0)),
        ),
        lines=_figure_4,
        remarks=(CURVES, NO_DATA),
        plot=loss_curves,
    ),
    figure(
        8,
        "detection by attack",
        columns=DETECTION,
        lines=_figure_8,
        remarks=(CURVES, FEATURES_REMARK, NO_DATA, GTSRB, TARGET),
        plot=pr_curves,
    ),
    figure(
        9,
        "detection by rate of poison",
        columns=DETECTION,
        lines=_figure_9,
        remarks=(CURVES, FEATURES_REMARK),
        plot=pr_curves,
    ),
    figure(
        10,
        "detection with ResNet-18 and ResNet-34",
        columns=DETECTION,
        lines=_figure_10,
        remarks=(CURVES, FEATURES_REMARK, "networks narrower than 64 channels, except at scale full"),
        plot=pr_curves,
    ),
)
