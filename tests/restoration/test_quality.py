import numpy as np
import torch

from unpoison.restoration import FAST, check_quality, train_restorer
from unpoison.training.loop import predict
from unpoison.triggers import search_trigger


def test_restored_images_get_their_true_labels_and_pass(case, classifier, backdoored):
    trigger = search_trigger(case.images, case.flagged, case.probabilities)
    restorer = train_restorer(case.images, case.flagged, trigger, FAST)
    restored = restorer(torch.from_numpy(case.images[case.poisoned])).numpy()
    found = check_quality(
        restored, case.labels[case.poisoned], case.images[~case.flagged], classifier, backdoored, FAST
    )
    truth = case.truth[case.poisoned]
    originals = predict(classifier, torch.from_numpy(case.clean[case.poisoned])).logits.argmax(1).numpy()
    assert (found.labels == truth).mean() >= 0.97 * (originals == truth).mean()
    assert found.accepted.mean() >= 0.85
    assert found.quality.min() >= 0
    assert found.quality.max() <= 1
    assert found.labels.dtype == np.int64


def test_images_whose_trigger_still_works_are_dropped(case, classifier, backdoored):
    unrestored = case.images[case.poisoned]
    fooled = predict(backdoored, torch.from_numpy(unrestored)).logits.argmax(1).numpy() == 0
    assert fooled.mean() > 0.8
    found = check_quality(
        unrestored, case.labels[case.poisoned], case.images[~case.flagged], classifier, backdoored, FAST
    )
    assert found.accepted[fooled].mean() < 0.2


def test_unclear_images_are_dropped(case, classifier):
    noise = np.full((20, 8, 8, 1), 128, np.uint8)
    strict = FAST.__class__(min_confidence=1.0)
    found = check_quality(noise, np.zeros(20, np.int64), case.images, classifier, None, strict)
    assert not found.accepted.any()
    assert set(found.reason) == {"unclear"}


def test_nothing_to_check(case, classifier, backdoored):
    empty = case.images[:0]
    found = check_quality(empty, np.empty(0, np.int64), case.images, classifier, backdoored)
    assert len(found.quality) == len(found.accepted) == len(found.labels) == 0
