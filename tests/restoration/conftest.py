import numpy as np
import numpy.typing as npt
import pytest
import torch

from flagged_digits import ATTACKS, Poisoned, poison
from unpoison.context import Context
from unpoison.training.backbones import Backbone
from unpoison.training.fit import Recipe, fit_new
from unpoison.training.loop import TrainingConfig, predict


def fit(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Backbone:
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    return fit_new(x, y, 10, Recipe("resnet9", 8, TrainingConfig(epochs=8, batch_size=64)), Context())


@pytest.fixture(scope="session")
def classifier() -> Backbone:
    """Trained on what no attack touches."""
    case = poison(ATTACKS["patch"])
    return fit(case.clean[~case.poisoned], case.truth[~case.poisoned])


@pytest.fixture(scope="session", params=ATTACKS)
def case(request, classifier) -> Poisoned:
    """The content is what the classifier says."""
    made = poison(ATTACKS[request.param])
    probabilities = torch.softmax(predict(classifier, torch.from_numpy(made.images)).logits, 1).numpy()
    return made._replace(probabilities=probabilities)


@pytest.fixture(scope="session")
def backdoored(case) -> Backbone:
    return fit(case.images, case.labels)
