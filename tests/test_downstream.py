"""The attack success rate, on a model whose answers are known."""

import numpy as np
import pytest
import torch

from unpoison import downstream
from unpoison.attacks import ISSBA, AdaptiveBlend, Attack, BadNets, Composite
from unpoison.data.labelled import LabelledImages
from unpoison.downstream import measure_model, train_and_test
from unpoison.errors import ConfigError
from unpoison.training.loop import Prediction, TrainingConfig

LABELS = np.repeat(np.arange(3), 10)


@pytest.fixture
def test_images():
    """Flat images of level 40 (y + 1) plus a little of their own."""
    images = np.empty((30, 8, 8, 1), np.uint8)
    images[:] = (40 * (LABELS + 1) + np.tile(np.arange(10), 3))[:, None, None, None]
    return LabelledImages(images, LABELS)


@pytest.fixture
def measure(monkeypatch, test_images):
    """The rate of an attack on a model that answers as a function of images uint8 [B,8,8,1] says."""

    def run(answer, attack, target):
        def predict(model, images):
            return Prediction(images, torch.eye(3)[torch.from_numpy(answer(images.numpy()))])

        monkeypatch.setattr(downstream, "fit_new", lambda *args: None)
        monkeypatch.setattr(downstream, "predict", predict)
        return train_and_test(
            test_images, test_images, [attack], target, TrainingConfig(), width=1, device=torch.device("cpu")
        )

    return run


def content(images):
    """The true class."""
    return images[:, 0, 0, 0].astype(int) // 40 - 1


def stamped(images):
    return images[:, -1, -1, 0] == 255


def test_one_target(measure):
    result = measure(lambda images: np.where(stamped(images), 1, content(images)), BadNets(), 1)
    assert result == (1, 1)
    # Images of the target class do not count.
    assert measure(content, BadNets(), 1) == (1, 0)


def test_all_to_all(measure):
    def shifted(images):
        return (content(images) + stamped(images)) % 3

    assert measure(shifted, BadNets(), "all-to-all") == (1, 1)
    assert measure(content, BadNets(), "all-to-all") == (1, 0)
    # Right for class 0 alone.
    ones = measure(lambda images: np.where(stamped(images), 1, content(images)), BadNets(), "all-to-all")
    assert ones.attack_success_rate == pytest.approx(1 / 3)


def test_composite_mixes_test_images_of_both_sources(measure):
    seen = []

    def answer(images):
        seen.append(images)
        return content(images)

    attack = Composite().fit(np.zeros((1, 8, 8, 1), np.uint8))
    assert measure(answer, attack, 2).accuracy == 1
    clean, mixed = seen
    assert len(clean) == 30
    assert len(mixed) == 10
    # Every mixture holds pixels of class 0 and of class 1, and none of the image that was there to train with.
    levels = mixed // 40
    assert ((levels == 1) | (levels == 2)).all()
    assert (levels == 1).any(axis=(1, 2, 3)).all()
    assert (levels == 2).any(axis=(1, 2, 3)).all()


def test_adaptive_blend_shows_the_whole_pattern(measure):
    seen = []
    white = np.full((8, 8, 1), 255, np.uint8)
    measure(lambda images: (seen.append(images), content(images))[1], AdaptiveBlend(pattern=white), 0)
    assert (seen[1] > seen[0][10:]).all()


def test_one_target_per_attack(measure, monkeypatch, test_images):
    measure(content, BadNets(), 0)
    monkeypatch.setattr(
        downstream,
        "predict",
        lambda model, images: Prediction(images, torch.eye(3)[torch.full((len(images),), 2)]),
    )
    attacks = [BadNets(), BadNets(corner="top left")]
    for target, rate in (([0, 1], 0), ([0, 2], 1), (2, 1)):
        result = train_and_test(
            test_images, test_images, attacks, target, TrainingConfig(), width=1, device=torch.device("cpu")
        )
        assert result.attack_success_rate == rate


def test_an_attack_that_learnt_nothing(measure):
    with pytest.raises(ConfigError, match="issba was not fitted: pass the attacks of the PoisonedDataset"):
        measure(content, ISSBA(), 0)


def test_model_without_attack_has_no_success_rate(victim):
    found = measure_model(victim.model, victim.test, [], 0, device=torch.device("cpu"))
    assert found.attack_success_rate is None
    assert found.accuracy > 0.9


def test_highest_success_rate_of_several_attacks_counts(victim):
    class Harmless(Attack):
        name = "harmless"

        def stamp(self, images):
            return images

    def measured(*attacks):
        return measure_model(victim.model, victim.test, attacks, 0, device=torch.device("cpu")).attack_success_rate

    assert measured(Harmless()) < 0.1
    assert measured(Harmless(), victim.attack) == measured(victim.attack) > 0.9


def test_no_image_is_no_measure(victim):
    nothing = LabelledImages(victim.test.images[:0], victim.test.labels[:0])
    assert measure_model(victim.model, nothing, [], 0, device=torch.device("cpu")).accuracy is None


@pytest.mark.parametrize("left", [0, 1])
def test_too_few_images_to_train_on_are_no_measure(victim, left):
    data = LabelledImages(victim.test.images[:left], victim.test.labels[:left])
    found = train_and_test(data, victim.test, [victim.attack], 0, TrainingConfig(), width=1, device=torch.device("cpu"))
    assert found == (None, None)
