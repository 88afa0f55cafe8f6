"""The list of sets."""

import re
from pathlib import Path

import numpy as np
import pytest

from bench_results import needs_images
from unpoison.errors import ConfigError
from unpoison_bench.false_alarms import develop, unseen
from unpoison_bench.false_alarms.drawing import draw_rows
from unpoison_bench.false_alarms.listing import CASES, cases_of, get_case
from unpoison_bench.false_alarms.triggers import TRIGGERS
from unpoison_bench.names import HALF_NAMES


@pytest.mark.parametrize("half", HALF_NAMES)
def test_each_half_has_enough_sets_of_each_kind(half):
    cases = cases_of(half)
    assert sum(case.poison is None for case in cases) >= 30
    assert sum(case.poison is not None for case in cases) >= 15
    assert {case.draw.source for case in cases} == {"cifar10", "gtsrb", "digits", "celeba", "clothing"}
    for kind in ("merged", "grey", "grey_classes", "flat", "tracks", "longest"):
        assert any(getattr(case.draw, kind) for case in cases), kind
    assert any(case.draw.series > 1 for case in cases)
    assert any(case.noisy for case in cases)
    assert {case.draw.side for case in cases} >= {32, 48, 64}
    assert any(len(case.poison.attacks) == 2 for case in cases if case.poison)
    attacks = {name for case in cases if case.poison for name in case.poison.attacks}
    assert attacks >= {"badnets", "blend", "sig", "wanet", "badnets_dynamic", "reflections"}


def test_every_set_is_possible():
    assert len(CASES) == len(develop.CASES) + len(unseen.CASES)
    for case in CASES.values():
        counts = case.draw.counts
        assert isinstance(counts, int) or len(counts) == len(case.draw.classes)
        if case.draw.merged:
            assert sorted(sum(case.draw.merged, ())) == sorted(case.draw.classes)
        if case.poison:
            assert set(case.poison.attacks) <= set(TRIGGERS)
            assert case.name.endswith(f"+{'+'.join(case.poison.attacks)}-{100 * case.poison.rate:g}")
            assert 0 <= case.poison.target < (len(case.draw.merged or case.draw.classes) or 10)


def test_the_halves_share_no_part_of_a_file_and_no_seed():
    rows = {half: {(case.draw.source, *case.draw.rows) for case in cases_of(half)} for half in HALF_NAMES}
    for source, first, end in rows["develop"]:
        for other, start, stop in rows["unseen"]:
            assert source != other or end <= start or stop <= first
    seeds = {half: {case.draw.seed for case in cases_of(half)} - {None} for half in HALF_NAMES}
    assert not seeds["develop"] & seeds["unseen"]


@needs_images
def test_no_image_of_an_unseen_set_is_in_one_to_develop_on():
    drawn = {half: set() for half in HALF_NAMES}
    for case in CASES.values():
        rows = draw_rows(case.draw)
        assert 400 <= len(rows) * case.draw.series <= 20_000
        assert len(np.unique(rows)) == len(rows)
        drawn[case.half] |= {(case.draw.source, row) for row in rows.tolist()}
    assert drawn["develop"]
    assert not drawn["develop"] & drawn["unseen"]


def test_the_documents_count_the_sets():
    root = Path(__file__).parents[3]
    section = (root / "benchmarks" / "README.md").read_text().partition("## False alarms")[2].partition("\n## ")[0]
    counts = np.array([row.groups() for row in re.finditer(r"\| (\d+) \| (\d+) \|$", section, re.M)], int)
    assert counts.sum(0).tolist() == [len(cases_of(half)) for half in HALF_NAMES]
    without = sum(case.poison is None for case in CASES.values())
    told = f"{without} sets without poison and {len(CASES) - without} with it"
    assert told in (root / "CHANGELOG.md").read_text()


def test_sets_have_names():
    assert get_case("digits-parity").half == "develop"
    with pytest.raises(ConfigError, match="unknown set 'digits': choose one of cifar10-5x300-a"):
        get_case("digits")
