"""What the flagged samples that have copies are, and which copies are left."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

import corner
import twostep
from unpoison import Report, SanitizedDataset, Sanitizer, rules
from unpoison.data.duplicates import Duplicates
from unpoison.explanation.verdict import Finding
from unpoison.methods.copies import mere_copies, with_duplicates
from unpoison.methods.spared import Spared
from unpoison.report import ClassEvidence
from unpoison.triggers import Patch

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
COUNT = 100
FIRST = corner.POISONED[0]


def mask(*positions):
    inside = np.zeros(COUNT, bool)
    inside[list(positions)] = True
    return inside


def mere(flagged, groups, labels=None, kind="backdoor", explained=None, blank=()):
    """Positions of the mere copies among 100 samples; `explained` are those that a trigger explains."""
    of = np.full(COUNT, -1)
    for group in groups:
        of[list(group)] = min(group)
    labels = np.zeros(COUNT, np.int64) if labels is None else labels
    kinds = np.full(COUNT, kind)
    findings = []
    if explained is not None:
        findings = [Finding(classes=[0], members=mask(*explained), trigger=Patch((8, 8, 3)))]
    found = mere_copies(mask(*flagged), kinds, labels, Duplicates(of, mask(*blank)), findings)
    return np.flatnonzero(found).tolist()


HEAP = list(range(20, 60))


@pytest.mark.parametrize("explained", [None, HEAP])
def test_a_heap_of_copies_is_no_backdoor(explained):
    assert mere(HEAP, [HEAP], explained=explained) == HEAP


@pytest.mark.parametrize("explained", [None, [*HEAP, *range(60, 75)]])
def test_what_is_flagged_with_a_heap_stays(explained):
    assert mere([*HEAP, *range(60, 75)], [HEAP], explained=explained) == HEAP


def test_some_copies_among_many_different_images_are_no_heap():
    flagged = [*HEAP, *range(60, 100)]
    assert mere(flagged, [HEAP[:30]], explained=flagged) == []
    assert mere(flagged, [HEAP[:30]]) == []


def test_a_trigger_on_copies_of_other_images_stays():
    """Each flagged image has a copy of its own, which is not flagged: of another class, or of the same."""
    pairs = [(place, place + 50) for place in range(50)]
    flagged = list(range(50))
    for labels in (np.repeat([0, 1], 50), None):
        assert mere(flagged, pairs, labels, explained=flagged) == []
        assert mere(flagged, pairs, labels) == []


def test_a_trigger_on_images_that_are_there_several_times_stays():
    trios = [range(place, place + 3) for place in range(0, 3 * rules.DISTINCT_CARRIERS, 3)]
    flagged = list(range(3 * rules.DISTINCT_CARRIERS))
    assert mere(flagged, trios, explained=flagged) == []
    # So few images are no pattern without their copies.
    assert mere(flagged[:-3], trios[:-1], explained=flagged[:-3]) == flagged[:-3]


def test_where_all_images_are_copies_that_explains_no_flag():
    pairs = [(place, place + 1) for place in range(0, COUNT, 2)]
    assert mere([2, 3, 4, 5], pairs) == []
    # But what is there more often does.
    assert mere([2, 3, 4, 5], [(2, 3, 4, 5), *pairs[3:]]) == [2, 3, 4, 5]


def test_where_a_trigger_explains_the_flags_the_group_is_of_one_label_and_flagged_as_a_whole():
    labels = np.zeros(COUNT, np.int64)
    labels[20] = 1
    assert mere(HEAP[1:], [HEAP], labels, explained=HEAP[1:]) == []
    assert mere(HEAP[1:], [HEAP], labels) == HEAP[1:]
    half = HEAP[:20]
    assert mere(half, [HEAP], explained=half) == []
    most = HEAP[:37]
    assert mere(most, [HEAP], explained=most) == most


def test_wrong_labels_and_blank_images():
    labels = np.arange(COUNT) % 10
    assert mere([3, 4, 50], [(3, 4, 5)], labels, kind="mislabelled") == [3, 4]
    assert mere([3, 4, 50], [(3, 4, 5)], labels, explained=[3, 4, 50]) == []
    assert mere([3, 4, 50], [(3, 4, 5)], labels, explained=[3, 4, 50], blank=[3, 4, 5]) == [3, 4]


def report(labels, flagged=()):
    labels = np.asarray(labels)
    flags = np.isin(np.arange(len(labels)), flagged)
    return Report(
        score=np.zeros(len(labels), np.float32), flagged=flags, kind=np.where(flags, "backdoor", ""),
        action=np.where(flags, "restore", "keep"), label=labels.copy(), original_label=labels,
        quality=np.ones(len(labels), np.float32), threshold=0.0, classes=[], timings={}, config={}, notes=[],
        versions={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "of", "flagged", "keep", "dropped"),
    [
        ([0, 0, 0, 1], [0, 0, 0, -1], [], [], [1, 2]),
        ([1, 0, 0, 1], [0, 0, 0, -1], [], [], [0, 2]),
        ([1, 0, 0, 1], [0, 0, 0, 0], [], [], [0, 1, 2, 3]),
        ([1, 0, 2, 2], [0, 0, 2, 2], [], [], [0, 1, 3]),
        # Poison is treated as such, and its label counts for nothing.
        ([0, 1, 1, 1], [0, 0, -1, -1], [1], [], []),
        ([0, 0, 0, 1], [0, 0, 0, -1], [0], [], [2]),
        ([0, 0, 0, 1], [0, 0, 0, -1], [], [2], [1]),
    ],
)
def test_copies_that_are_dropped(labels, of, flagged, keep, dropped):
    before, of = report(labels, flagged), np.array(of)
    kept = with_duplicates(before, of, "keep", np.isin(range(4), keep), ["a", "b", "c"])
    np.testing.assert_array_equal(kept.action, before.action)
    np.testing.assert_array_equal(kept.label, before.label)
    assert np.flatnonzero(kept.kind == "duplicate").tolist() == np.flatnonzero((of >= 0) & ~before.flagged).tolist()
    after = with_duplicates(before, of, "drop", np.isin(range(4), keep), ["a", "b", "c"])
    assert np.flatnonzero(after.action == "drop").tolist() == dropped
    assert np.flatnonzero(after.reason == "duplicate").tolist() == dropped
    assert np.flatnonzero(after.label == -1).tolist() == dropped
    np.testing.assert_array_equal(after.flagged, before.flagged)


def test_the_note_names_the_largest_groups():
    of = np.array([0, 0, 2, 2, 2, 5, 5, 7, 7, -1])
    labels = np.array([0, 0, 1, 1, 0, 2, 2, 1, 2, 0])
    found = with_duplicates(report(labels), of, "keep", np.zeros(10, bool), ["cat", "dog", "ship"])
    assert found.notes == [
        "9 images are the same to the eye as others, in 4 groups, 2 of them under several labels: 3 of classes cat, "
        "dog; 2 of class cat; 2 of class ship"
    ]
    assert with_duplicates(report(labels), np.full(10, -1), "drop", np.zeros(10, bool), ["a", "b", "c"]).notes == []


@pytest.fixture
def copied(images_and_labels):
    """Position 3, which is flagged, and five copies of it at the end; 0 and one of it before them."""
    images, labels = images_and_labels
    chosen = [*range(24), 0, *[FIRST] * 5]
    return [(images[place], int(labels[place])) for place in chosen]


@pytest.mark.parametrize("method", ["corner", "twostep"])
def test_copies_are_kept_by_default(method, copied):
    served = SanitizedDataset(copied, method).prepare()
    found = served.report
    heap = [FIRST, *range(25, 30)]
    assert np.flatnonzero(found.flagged).tolist() == [8, 13]
    assert np.flatnonzero(found.kind == "duplicate").tolist() == [0, 3, *range(24, 30)]
    assert found.duplicate_of[[0, 24, *heap]].tolist() == [0, 0, *[FIRST] * 6]
    assert set(found.action[[0, 24, *heap]]) == {"keep"}
    assert "8 duplicates in 2 groups: kept" in found.summary()
    assert "suspicious only because they have copies: 6 images" in found.notes
    assert found.config["duplicates"] == "keep"
    position = served.source_index.tolist().index(29)
    np.testing.assert_array_equal(np.asarray(served[position][0]), copied[FIRST][0])


@pytest.mark.parametrize("method", ["corner", "twostep"])
def test_copies_can_be_dropped(method, copied):
    twostep.CALLS.clear()
    before = Sanitizer(method).fit(copied)
    served = SanitizedDataset(copied, method, duplicates="drop", keep=[27]).prepare()
    found = served.report
    assert np.flatnonzero(found.reason == "duplicate").tolist() == [24, 25, 26, 28, 29]
    assert not set(served.source_index.tolist()) & {24, 25, 26, 28, 29}
    assert {FIRST, 0, 27} <= set(served.source_index.tolist())
    assert "8 duplicates in 2 groups: 5 dropped" in found.summary()
    np.testing.assert_array_equal(found.duplicate_of, before.duplicate_of)
    again = Sanitizer(method).fit(copied)
    np.testing.assert_array_equal(again.action, before.action)
    assert twostep.CALLS.count("find") == (method == "twostep")


def test_a_class_of_which_only_copies_were_suspicious_is_not_poisoned():
    labels = np.repeat([0, 1, 2], 10)
    flagged, copies = np.arange(30) % 10 < 4, np.arange(30) % 10 < 3
    copies[3] = True
    spared = Spared.of(flagged, labels, np.arange(30) == 23, copies, 0.5)
    assert (spared.innocent, spared.crowded) == ([0], [])
    np.testing.assert_array_equal(spared.lifted, copies | (np.arange(30) == 23))
    classes = [ClassEvidence(label=label, size=10, evidence=9.0, poisoned=True) for label in range(3)]
    before = dataclasses.replace(report(labels), classes=classes)
    after = spared.noted(before, ["cat", "dog", "ship"])
    assert after.with_status("poisoned") == [1, 2]
    assert after.notes == [
        "kept as they are, as asked: 1 suspicious image",
        "suspicious only because they have copies: 10 images",
    ]


def test_copies_change_nothing_that_was_worked_out(copied):
    twostep.CALLS.clear()
    Sanitizer("twostep").fit(copied)
    dropped = Sanitizer("twostep", duplicates="drop").fit(copied)
    assert twostep.CALLS == ["find", "finish"]
    assert (dropped.reason == "duplicate").sum() == 6


def test_positions_are_those_of_the_whole_dataset(copied, tmp_path):
    for number, (image, label) in enumerate(copied):
        (tmp_path / "data" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "data" / str(label) / f"{number:02}.png")
    folder = ImageFolder(tmp_path / "data")
    whole = Sanitizer("corner").fit(folder)
    alone = int(np.flatnonzero(whole.duplicate_of < 0)[0])
    Path(folder.samples[alone][0]).write_bytes(b"<html>")
    found = Sanitizer("corner", on_unreadable="skip").fit(ImageFolder(tmp_path / "data"))
    np.testing.assert_array_equal(found.duplicate_of, whole.duplicate_of)
    again = Report.load(found.save(tmp_path / "report"))
    table = again.samples()
    assert table["duplicate_of"].to_pylist() == [None if of < 0 else of for of in whole.duplicate_of.tolist()]
    assert dataclasses.replace(again, duplicate_of=np.zeros(0, np.int64)).samples()["duplicate_of"].null_count == 30
