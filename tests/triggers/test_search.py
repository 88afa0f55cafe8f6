import numpy as np
import pytest
import torch

from batches import as_batch, as_images
from unpoison.attacks import Blend
from unpoison.demo import load_digits
from unpoison.triggers import Patch, Trigger, register_trigger, search_trigger


@pytest.fixture(scope="module")
def trigger(case) -> Trigger:
    return search_trigger(case.images, case.flagged, case.probabilities)


def test_names_the_kind_of_trigger(case, trigger):
    assert trigger.kind == ("blend" if isinstance(case.attack, Blend) else "patch")


def test_inverse_is_far_closer_to_the_originals_than_doing_nothing(case, trigger):
    poisoned = case.images[case.poisoned]
    assert case.error(as_images(trigger.invert(as_batch(poisoned)))) < case.error(poisoned) / 3


def test_stamps_clean_images_as_the_attack_does(case, trigger):
    fresh = case.clean[~case.poisoned][:200]
    wanted, stamped = case.attack(fresh).astype(int), as_images(trigger.stamp(as_batch(fresh)))
    assert np.abs(stamped - wanted).mean() < 0.2 * np.abs(fresh - wanted).mean()


def test_flags_are_repaired_in_both_directions(case, trigger):
    odds = np.where(case.flagged, 3, -3) + trigger.evidence(case.images)
    refined = (case.labels == 0) & (odds > 0)
    assert (refined & case.poisoned).sum() >= 88
    assert (refined & ~case.poisoned).sum() <= 2


def test_evidence_is_about_each_image_alone(case, trigger):
    everything = trigger.evidence(case.images[:20])
    assert everything.dtype == np.float32
    np.testing.assert_allclose(trigger.evidence(case.images[3:5]), everything[3:5], rtol=1e-4, atol=1e-4)
    assert trigger.evidence(case.images[:0]).shape == (0,)


@pytest.mark.parametrize("pick", ["random", "one class"])
def test_clean_images_are_not_explained(pick):
    digits = load_digits()
    images, labels = digits.images, digits.labels
    rng = np.random.default_rng(3)
    pool = np.arange(len(labels)) if pick == "random" else np.flatnonzero(labels == 4)
    flagged = np.zeros(len(labels), bool)
    flagged[rng.choice(pool, 80, replace=False)] = True
    trigger = search_trigger(images, flagged, np.eye(10, dtype=np.float32)[labels])
    assert trigger is None


def test_what_the_suspects_do_not_show_explains_nothing(case, trigger, own_registry):
    @register_trigger
    class Imagined(Patch):
        kind, order = "imagined", 1

        @classmethod
        def find(cls, comparison):
            return cls(comparison.shape)

        def log_odds(self, images):
            return torch.full((len(images),), -5.0)

    found = search_trigger(case.images, case.flagged, case.probabilities)
    assert found.kind == trigger.kind


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_flags_explain_nothing(count):
    digits = load_digits()
    images, labels = digits.images, digits.labels
    flagged = np.arange(len(labels)) < count
    assert search_trigger(images, flagged, np.eye(10, dtype=np.float32)[labels]) is None


@pytest.mark.parametrize("shape", [(20, 28, 3), (9, 13, 1), (40, 33, 1)])
def test_any_size_and_number_of_channels(shape):
    rng = np.random.default_rng(0)
    # Smooth images with both ends of the range, as photographs have them.
    images = np.clip(rng.normal(128, 110, (400, 1, 1, 1)) + rng.normal(0, 15, (400, *shape)), 0, 255).astype(np.uint8)
    flagged = np.arange(400) < 60
    images[flagged] = Blend(0.3)(images[flagged])
    trigger = search_trigger(images, flagged, np.full((400, 2), 0.5, np.float32))
    assert trigger.kind == "blend"
    assert abs(float(trigger.scale.mean()) - 0.7) < 0.05
