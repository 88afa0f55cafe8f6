"""Augmentations with a random state of their own, which fire rarely: found before anything is cleaned, or named."""

import random

import numpy as np
import pytest
from torch.utils.data import Dataset

import corner
from unpoison import SanitizedDataset
from unpoison.data.access import RawView
from unpoison.data.surveying import survey
from unpoison.errors import DatasetError

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
IMAGES, LABELS = corner.make_images(600)
NAMED = r"item \d+ has other pixels or another label each time it is read.*transform="


class Augmented(Dataset):
    """Mirrors a few of the images, by a random state that nobody else can set."""

    def __init__(self, count=600, rate=0.02, make=random.Random):
        self.count, self.rate, self.own = count, rate, make(0)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        image = IMAGES[index]
        return image[:, ::-1] if self.own.random() < self.rate else image, int(LABELS[index])


class Rare:
    """A transform that seldom does something."""

    def __init__(self, rate):
        self.rate, self.own = rate, random.Random(0)

    def __call__(self, image):
        return 255 - image if self.own.random() < self.rate else image


class Scaled(Augmented):
    """Changes what its transform returns, so that the call cannot be repeated on another image."""

    def __init__(self, rate):
        super().__init__(rate=0)
        self.transform = Rare(rate)

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return self.transform(image) // 2, label


@pytest.mark.parametrize("make", [random.Random, np.random.default_rng])
def test_rare_augmentations_are_found_by_the_survey(make):
    with pytest.raises(DatasetError, match=NAMED):
        survey(RawView(Augmented(make=make)))


def test_rare_transforms_that_cannot_be_repeated_are_found():
    with pytest.raises(DatasetError, match="what `transform` returns is changed"):
        RawView(Scaled(rate=0.02))
    assert len(RawView(Scaled(rate=0))) == 600


def test_rare_transforms_are_repeated():
    class Plain(Augmented):
        def __init__(self):
            super().__init__(rate=0)
            self.transform = Rare(0.02)

        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return self.transform(image), label

    served = SanitizedDataset(Plain(), "corner")
    inverted = [
        not np.array_equal(image, IMAGES[at]) for at, (image, _) in zip(served.source_index, served, strict=True)
    ]
    assert 0 < sum(inverted) - len(corner.POISONED) < 40


def test_what_was_not_found_is_named_when_it_is_served():
    dataset = Augmented(count=30, rate=1e-9)
    served = SanitizedDataset(dataset, "corner").prepare()
    dataset.own.random = iter([0.0, *[1.0] * 50]).__next__
    with pytest.raises(DatasetError, match=r"item 0 has other pixels .*transform="):
        served[0]
    assert served[1][1] == LABELS[1]
