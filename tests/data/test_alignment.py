"""Positions after drops: warned about, mapped, or kept."""

import dataclasses

import numpy as np
import pytest
from torch.utils.data import DataLoader

import corner
from unpoison import SanitizedDataset, Sanitizer
from unpoison.data.alignment import served_positions, with_stand_ins
from unpoison.data.items import same_parts
from unpoison.errors import ConfigError, DatasetError, DroppedSamplesWarning

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
DROPPED = list(corner.POISONED)


def test_drops_are_counted_by_a_warning(pairs, recwarn):
    with pytest.warns(DroppedSamplesWarning, match=r"^3 samples were dropped.*align=True.*positions\(\)"):
        SanitizedDataset(pairs, "corner", on_poison="drop").prepare()
    recwarn.clear()
    SanitizedDataset(pairs, "corner", on_poison="keep").prepare()
    SanitizedDataset(pairs, "corner", on_poison="drop", align=True).prepare()
    assert not [w for w in recwarn if w.category is DroppedSamplesWarning]


def test_a_class_that_a_report_does_not_name(pairs):
    """Reports may come from anyone, and name fewer classes than there are."""
    report = Sanitizer("corner", on_poison="drop").fit(pairs)
    labels = report.original_label.copy()
    labels[DROPPED] = 7
    report = dataclasses.replace(report, original_label=labels, class_names=["a"])
    served = served_positions(np.flatnonzero(report.action == "keep"), len(report))
    with pytest.raises(DatasetError, match="no sample of class 7 is left"):
        with_stand_ins(served, report, seed=0)


def test_positions_follow_the_drops(pairs):
    served = SanitizedDataset(pairs, "corner", on_poison="drop")
    positions = served.positions([0, 3, 4, 23])
    assert positions.dtype == np.int64
    assert positions.tolist() == [0, -1, 3, 20]
    every = served.positions(np.arange(24).reshape(4, 6))
    assert every.shape == (4, 6)
    kept = every.ravel()[every.ravel() >= 0]
    assert served.source_index[kept].tolist() == [i for i in range(24) if i not in DROPPED]
    assert served.positions([]).tolist() == []


@pytest.mark.parametrize(
    ("indices", "message"),
    [([0, 24], "hold 24, outside the 24"), ([-1], "hold -1"), ([0.5], "float64"), ([True], "bool")],
)
def test_positions_that_are_none(indices, message, pairs):
    for align in (False, True):
        with pytest.raises(ConfigError, match=f"source_indices .*{message}"):
            SanitizedDataset(pairs, "corner", align=align).positions(indices)


def test_aligned_positions_stay(pairs):
    served = SanitizedDataset(pairs, "corner", on_poison="drop", align=True)
    assert len(served) == 24
    assert served.positions([3, 23]).tolist() == [3, 23]
    for position in range(24):
        if position not in DROPPED:
            assert served.source_index[position] == position
            assert same_parts(served[position], pairs[position])
        else:
            stand_in = served.source_index[position]
            assert stand_in not in DROPPED
            assert same_parts(served[position], pairs[stand_in])
            assert served[position][1] == pairs[position][1] == served.targets[position]
    assert len(set(served.source_index[DROPPED])) == 3
    assert served.report.notes[-1] == "align=True: 3 dropped samples are served as others of their class"
    assert len(list(DataLoader(served, batch_size=None, sampler=range(24)))) == 24


def test_the_choice_depends_on_the_seed_alone(pairs):
    def chosen(seed):
        return SanitizedDataset(pairs, "corner", on_poison="drop", align=True, seed=seed).source_index.tolist()

    assert chosen(0) == chosen(0)
    assert len({tuple(chosen(seed)) for seed in range(4)}) > 1


def test_restored_samples_stand_in_where_none_was_kept():
    images, labels = corner.make_images()
    labels[:] = np.where(np.isin(np.arange(24), DROPPED), 2, np.arange(24) % 2)
    images[:, 0, 0] = (labels * 20)[:, None]
    pairs = [(i, int(y)) for i, y in zip(images, labels, strict=True)]
    served = SanitizedDataset(pairs, "corner", align=True, max_altered=1)
    assert served.report.action[DROPPED].tolist() == ["restore", "restore", "drop"]
    assert served.source_index[DROPPED[-1]] in DROPPED[:-1]
    np.testing.assert_array_equal(served[DROPPED[-1]][0][-1, -1] < 255, True)
    with pytest.raises(DatasetError, match=r"align=True: no sample of class 2 is left.*3 that were dropped"):
        SanitizedDataset(pairs, "corner", on_poison="drop", align=True, max_altered=1).prepare()


def test_reopened_shards(pairs, tmp_path):
    folder = tmp_path / "out"
    Sanitizer("corner", on_poison="drop").export(pairs, folder)
    with pytest.warns(DroppedSamplesWarning, match="3 samples"):
        moved = SanitizedDataset.from_shards(folder)
    assert moved.positions([3, 23]).tolist() == [-1, 20]
    served = SanitizedDataset.from_shards(folder, align=True)
    assert len(served) == len(served.targets) == 24
    want = SanitizedDataset(pairs, "corner", on_poison="drop", align=True)
    assert served.source_index.tolist() == want.source_index.tolist()
    assert all(np.array_equal(a[0], b[0]) and a[1] == b[1] for a, b in zip(served, want, strict=True))
    assert served.report.notes == want.report.notes
    with pytest.raises(ConfigError, match="outside the 24"):
        served.positions(24)
