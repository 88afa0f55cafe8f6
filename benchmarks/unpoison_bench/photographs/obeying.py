"""Whether networks that are trained on the photographs, shrunk, obey the trigger."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torchvision.datasets import ImageFolder

from unpoison import metrics
from unpoison.attacks import Attack
from unpoison.data.labelled import LabelledImages
from unpoison.data.pixels import to_pil
from unpoison.dataset import SanitizedDataset
from unpoison.downstream import predictions
from unpoison.training.threads import free_cores

from ..shapes import of_shape, pixels_of
from ..victims import train_victim
from .files import Originals, through_jpeg

SHAPE = (128, 128, 3)
"""Of what networks see."""


class Obeying(NamedTuple):
    """What is compared."""

    attack: Attack
    test: Originals
    given: ImageFolder
    """What came in."""
    served: SanitizedDataset
    target: str
    """Name of the attacker's class."""


class _Stamped:
    """Test photographs of other classes than the attacker's, stamped at their own size and saved."""

    def __init__(self, attack: Attack, test: Originals, target: int) -> None:
        self.attack, self.test = attack, test
        self.victims = np.flatnonzero(test.labels != target)

    def __len__(self) -> int:
        return len(self.victims)

    def __getitem__(self, index: int) -> Any:
        image, label = self.test[int(self.victims[index])]
        return through_jpeg(to_pil(self.attack(pixels_of(image)[None])[0])), label


def obeying(what: Obeying, seed: int, device: torch.device) -> dict[str, Any]:
    """Accuracy and attack success rate of one small network, trained on the input and on the output; and the rate at
    which it says the attacker's class to the same photographs unstamped, which a poor network does, too."""
    numbers = np.array([what.given.class_to_idx[name] for name in what.test.classes])
    target = what.given.class_to_idx[what.target]
    test = _numbered(of_shape(what.test, SHAPE), numbers)
    stamped = of_shape(_Stamped(what.attack, what.test, what.test.classes.index(what.target)), SHAPE).images
    out: dict[str, Any] = {}
    for name, arm in (("input", what.given), ("output", what.served)):
        with free_cores():
            model = train_victim(of_shape(arm, SHAPE), len(numbers), seed=seed, device=device)
            predicted = predictions(model, device)
            answers, obeyed = predicted(test.images), predicted(stamped) == target
        out |= {
            f"accuracy_{name}": metrics.accuracy(answers, test.labels),
            f"asr_{name}": metrics.mean(obeyed),
            f"unstamped_{name}": metrics.mean(answers[test.labels != target] == target),
        }
    return out


def _numbered(images: LabelledImages, numbers: Any) -> LabelledImages:
    """With the class numbers of the folder."""
    return LabelledImages(images.images, numbers[images.labels])
