"""What is said about a trained model."""

import torch

from unpoison.bench.data import LabelledImages
from unpoison.bench.evaluate import measure_model


def test_model_without_attack_has_no_success_rate(victim):
    found = measure_model(victim.model, victim.test, [], 0, device=torch.device("cpu"))
    assert found.attack_success_rate is None
    assert found.accuracy > 0.9


def test_highest_success_rate_of_several_attacks_counts(victim):
    def harmless(images):
        return images

    def measured(*attacks):
        return measure_model(victim.model, victim.test, attacks, 0, device=torch.device("cpu")).attack_success_rate

    assert measured(harmless) < 0.1
    assert measured(harmless, victim.attack) == measured(victim.attack) > 0.9


def test_no_image_is_no_measure(victim):
    nothing = LabelledImages(victim.test.images[:0], victim.test.labels[:0])
    assert measure_model(victim.model, nothing, [], 0, device=torch.device("cpu")).accuracy is None
