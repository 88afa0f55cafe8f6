"""Waves that the working copy cannot show are found in the originals, and taken off there."""

from unittest import mock

import numpy as np
import photos
import pytest
import torch
from PIL import Image

import corner
from unpoison.context import Context
from unpoison.data.access import RawView
from unpoison.data.store import ImageStore
from unpoison.data.surveying import survey
from unpoison.detection.choice import Choice
from unpoison.detection.verifier import Verifier
from unpoison.explanation.found import Found
from unpoison.explanation.verdict import Explanation
from unpoison.native.closer import look_closer
from unpoison.native.repair import fit_repairs
from unpoison.native.spectra import Spectra, find_waves, wave_odds
from unpoison.restoration import RestorationConfig
from unpoison.stages.local import LocalExecutor
from unpoison.training.loop import TrainingConfig

CHOICE = Choice(backbone="conv5", width=1, training=TrainingConfig(), notes=[])
SIDE, CLASSES, EACH, PERIODS = 32, 3, 40, 31
STAMPED = range(1, 1 + 3 * 14, 3)
"""Of class 1."""


def wave(image):
    angle = 2 * np.pi * PERIODS * np.arange(image.shape[1]) / image.shape[1]
    return np.clip(np.rint(image + 12 * np.sin(angle)[None, :, None]), 0, 255).astype(np.uint8)


def photographs(stamp=wave):
    """PIL images of class i % 3, and their classes."""
    images = [photos.photograph(seed) for seed in range(CLASSES * EACH)]
    stamped = [stamp(image) if place in STAMPED else image for place, image in enumerate(images)]
    return [(Image.fromarray(image), place % CLASSES) for place, image in enumerate(stamped)], images


def looked_at(items, folder, *, taught=True, score=None, foreign=()):
    """What is known afterwards; a verifier takes foreign ones for other classes, and believes all other labels."""
    classes = 1 + max(label for _, label in items)
    view = RawView(items)
    found = survey(view, on_unreadable="raise", num_workers=0, max_side=SIDE)
    (folder / "store").mkdir()
    executor, context = LocalExecutor(folder), Context()

    def build(out):
        ImageStore.build(view, found, out, num_workers=0)

    store = ImageStore.open(executor.keep("store", "a copy", "0", build, context).folder)

    def know(out):
        known = corner.found_by_hand(store.images, store.labels, classes)
        none = Explanation(
            score=np.full(len(items), -1, np.float32) if score is None else score,
            kind=np.full(len(items), "", "<U8"),
            findings=[],
        )
        verifier = Verifier(known.model, torch.zeros(len(items), dtype=torch.bool)) if taught else None
        corner.found_by_hand(
            store.images, store.labels, classes, explanation=none, threshold=0.0, verifier=verifier, choice=CHOICE
        ).save(out)

    first = executor.keep("found", "what is known", "0", know, context)
    rows = {image.tobytes(): row for row, image in enumerate(store.images)}

    def said(verifier, images, choice):
        asked = [rows[image.numpy().tobytes()] for image in images]
        seen = [
            (store.labels[row] + (1 + row // classes % (classes - 1)) * (row in foreign)) % classes for row in asked
        ]
        return torch.eye(classes)[torch.tensor(seen)]

    with mock.patch("unpoison.native.closer.opinion", said):
        artefact = look_closer(view, found, store, first, executor, context)
    return view, found, store, first, artefact, Found.load(artefact.folder, torch.device("cpu"))


def test_a_wave_that_the_copy_cannot_show_is_found(tmp_path):
    items, _ = photographs()
    *_, known = looked_at(items, tmp_path)
    assert np.flatnonzero(known.flagged).tolist() == list(STAMPED)
    (finding,) = known.explanation.findings
    assert (finding.classes, finding.trigger) == ([1], None)
    assert (known.explanation.kind[known.flagged] == "backdoor").all()
    assert known.notes[-2] == "120 originals were looked at for what the working copy cannot show"
    assert "14 originals share a wave of 0 vertical and 31 horizontal periods" in known.notes[-1]


def test_clean_photographs_share_none(tmp_path):
    items, _ = photographs(lambda image: image)
    *_, known = looked_at(items, tmp_path)
    assert not known.flagged.any()
    assert known.explanation.findings == []


def test_blocks_of_jpeg_are_no_trigger(tmp_path):
    """They begin at the same corner in all images, but go up or down by what is seen there."""
    items, _ = photographs(lambda image: photos.through_jpeg(image, quality=10))
    *_, known = looked_at(items, tmp_path)
    assert not known.flagged.any()


MARK = (np.indices((5, 5)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
MARKED = range(1, 1 + 4 * 24, 4)
"""Of class 1."""


def marked(image):
    stamped = image.copy()
    stamped[-8:-3, -8:-3] = MARK
    return stamped


def with_marks():
    """Small patches on photographs of class 1, and how little each label is believed."""
    images = [photos.photograph(seed) for seed in range(4 * 60)]
    items = [
        (Image.fromarray(marked(image) if place in MARKED else image), place % 4) for place, image in enumerate(images)
    ]
    noise = np.random.default_rng(5).normal(size=len(items)) - 9
    return items, noise.astype(np.float32)


def test_a_small_patch_of_samples_that_are_not_believed_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("unpoison.native.closer.DOUBTED", 16)
    items, score = with_marks()
    score[list(MARKED)] += 4
    *_, known = looked_at(items, tmp_path, score=score, foreign=MARKED)
    assert np.flatnonzero(known.flagged).tolist() == list(MARKED)
    assert known.notes[-1] == "class 1: 24 originals share a patch from the bottom right, in pixels"


def test_grey_photographs_among_others_are_looked_at_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr("unpoison.native.closer.DOUBTED", 16)
    items, score = with_marks()
    items = [(image.convert("L") if place % 5 == 0 else image, label) for place, (image, label) in enumerate(items)]
    score[list(MARKED)] += 4
    *_, known = looked_at(items, tmp_path, score=score, foreign=MARKED)
    assert np.flatnonzero(known.flagged).tolist() == list(MARKED)


def test_a_mark_on_samples_of_their_class_is_none(tmp_path, monkeypatch):
    """As the sign of a web site, from which many images of a class come."""
    monkeypatch.setattr("unpoison.native.closer.DOUBTED", 16)
    items, score = with_marks()
    # They may look unusual, and so be believed less than others.
    score[list(MARKED)] += 4
    *_, known = looked_at(items, tmp_path, score=score)
    assert not known.flagged.any()


def test_published_methods_do_not_look(tmp_path):
    items, _ = photographs()
    *_, known = looked_at(items, tmp_path, taught=False)
    assert not known.flagged.any()
    assert known.notes == []


def test_images_of_the_working_size_are_not_looked_at_again(tmp_path):
    items = [(image.resize((24, 32)), label) for image, label in photographs()[0]]
    *_, first, artefact, _ = looked_at(items, tmp_path)
    assert artefact == first


def test_what_was_found_comes_off_the_originals(tmp_path):
    items, clean = photographs()
    view, found, store, _, _, known = looked_at(items, tmp_path)
    flagged = known.flagged
    report = type("Report", (), {"flagged": flagged, "label": store.labels})
    outcome = type(
        "Outcome",
        (),
        {"report": report, "restored_index": np.flatnonzero(flagged), "findings": known.explanation.findings},
    )
    repairs = fit_repairs(view, found, store, outcome, RestorationConfig(), Context())
    assert len(repairs.by_row) == len(STAMPED)
    assert "a pattern of kind periodic" in repairs.notes[0]
    rows = list(STAMPED)
    images = [np.asarray(items[row][0]) for row in rows]
    left = photos.error_left(repairs.by_row[rows[0]], images, [clean[row] for row in rows], wave)
    assert left < 0.2
    for image in clean[::10]:
        assert repairs.by_row[rows[0]](image, image) is image


def test_coefficients_of_one_frequency_are_those_of_all():
    spectra = Spectra((120, 90), (32, 24))
    image = photos.photograph(0)
    place = 777
    np.testing.assert_allclose(spectra.at(image, spectra.frequency(place)), spectra.of(image)[place], rtol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_odds_tell_who_carries_a_wave(share):
    rng = np.random.default_rng(1)
    chance = (rng.normal(size=200) + 1j * rng.normal(size=200)) / 2**0.5
    carries = np.arange(200) < 200 * share
    odds = wave_odds((chance + 6j * carries).astype(np.complex64))
    assert ((odds > 0) == carries).all()


def test_one_class_cannot_stand_out():
    spectra = Spectra((40, 30), (10, 8))
    images = [photos.photograph(seed) for seed in range(12)]
    assert find_waves(spectra, images, np.zeros(12, np.int64), 0) == []
