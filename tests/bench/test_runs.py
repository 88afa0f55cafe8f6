"""Runs of the comparisons: their files and their data."""

import dataclasses

import numpy as np
import pytest

from bench_results import needs_images
from unpoison.attacks import Composite
from unpoison_bench import runs
from unpoison_bench.runs import VARIANTS, Run


def test_runs_have_files_by_all_that_they_depend_on():
    run = Run(dataset="cifar10", attacks=("badnets",), rate=0.01, scale="cpu")
    assert run.file.startswith("cifar10-badnets-1-pdautor-seed0-")
    others = [
        run.with_seed(1),
        *(
            dataclasses.replace(run, **change)
            for change in (
                {"scale": "smoke"},
                {"target": 1},
                {"target": "all-to-all"},
                {"preset": "paper"},
                {"changes": (("restoration.width", 8),)},
                {"false_positives": 0.1},
                {"part": 0.5},
            )
        ),
    ]
    assert len({run.file, *(other.file for other in others)}) == 9
    assert dataclasses.replace(run, changes=(("restoration.width", 8),)).config().restoration.width == 8


def test_composite_has_another_target_than_its_sources():
    assert VARIANTS["composite"]().sources == (1, 2)
    assert isinstance(VARIANTS["composite"](), Composite)


@needs_images
@pytest.mark.parametrize("overlap", [False, True])
def test_poison_of_two_attacks(overlap):
    run = Run(
        dataset="cifar10", attacks=("badnets", "badnets_top_left"), rate=0.1, overlap=overlap, part=0.5, scale="smoke"
    )
    data = runs.load(run)
    assert (len(data.given), data.num_classes, data.poisoned.sum()) == (250, 10, 25 if overlap else 24)
    white = (data.given.images == 255).all(-1)
    corners = [white[:, -3:, -3:].all((1, 2)), white[:, :3, :3].all((1, 2))]
    stamped = np.array(corners)[:, data.poisoned]
    assert stamped.all(0).all() if overlap else (stamped.sum(0) == 1).sum() >= 20
