"""PoisonedDataset: poison of known place under the wrapped dataset's transforms."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import VisionDataset
from torchvision.transforms import v2

from unpoison import SanitizedDataset
from unpoison.attacks import ATTACKS, ISSBA, SIG, BadNets, Blend, PoisonedDataset
from unpoison.data.access import RawView
from unpoison.data.items import same_parts
from unpoison.errors import ConfigError, DatasetError


class Clean(VisionDataset):
    """90 flat images of three classes."""

    classes = ("a", "b", "c")

    def __init__(self, **transforms):
        super().__init__(None, **transforms)

    def __len__(self):
        return 90

    def __getitem__(self, index):
        if not 0 <= index < 90:
            raise IndexError(index)
        image, label = Image.new("RGB", (8, 8), (20 * (index % 3), index, 7)), index % 3
        image.putpixel((0, 0), (20 * (index % 3),) * 3)
        if self.transforms is not None:
            image, label = self.transforms(image, label)
        return image, label


@pytest.mark.parametrize("name", ATTACKS)
def test_each_image_is_stamped_at_its_own_size(name):
    rng = np.random.default_rng(0)
    sizes = [(int(height), int(width)) for height, width in rng.integers(40, 90, (60, 2))]
    clean = [(rng.integers(0, 256, (*size, 3), np.uint8), number % 3) for number, size in enumerate(sizes)]
    attack = ISSBA(steps=3, bound=100) if name == "issba" else ATTACKS[name]()
    data = PoisonedDataset(clean, attack, rate=0.1, target=2)
    for (image, _), (original, _), stamped in zip(data, clean, data.poisoned | data.covered, strict=True):
        assert image.shape == original.shape
        assert (image != original).any() == stamped


def test_dirty_label_attack():
    clean = Clean()
    data = PoisonedDataset(clean, BadNets(), rate=0.1, target=1)
    assert data.poisoned.dtype == bool
    assert data.poisoned.sum() == 9
    assert data.clean_label.tolist() == [i % 3 for i in range(90)]
    assert not (data.clean_label[data.poisoned] == 1).any()
    assert len(data) == 90
    for index, (image, label) in enumerate(data):
        raw, was = data.clean[index]
        assert was == data.clean_label[index]
        if data.poisoned[index]:
            want = BadNets()(np.array(raw)[None])[0]
            np.testing.assert_array_equal(np.array(image), want)
            assert label == data.targets[index] == 1
        else:
            assert same_parts((image, label), (raw, was))
    assert data.classes == ["a", "b", "c"]
    assert data.class_to_idx["b"] == 1
    assert same_parts(data[-1], data[89])
    with pytest.raises(IndexError):
        data[90]


def test_clean_label_attack_stays_in_its_class():
    data = PoisonedDataset(Clean(), SIG(), rate=0.1, target=2)
    assert (data.clean_label[data.poisoned] == 2).all()
    assert data.targets == data.clean_label.tolist()
    with pytest.raises(DatasetError, match="sig needs 36 images that it can poison, there are 30"):
        PoisonedDataset(Clean(), SIG(), rate=0.4, target=2)


def test_seed_decides():
    masks = [PoisonedDataset(Clean(), BadNets(), rate=0.1, seed=seed).poisoned for seed in (0, 0, 1)]
    assert (masks[0] == masks[1]).all()
    assert (masks[0] != masks[2]).any()


def test_several_attacks():
    attacks = [BadNets(), Blend()]
    apart = PoisonedDataset(Clean(), attacks, rate=0.1)
    assert apart.poisoned.sum() == 18
    together = PoisonedDataset(Clean(), attacks, rate=0.1, overlap=True)
    assert together.poisoned.sum() == 9
    index = int(np.flatnonzero(together.poisoned)[0])
    want = Blend()(BadNets()(np.array(together.clean[index][0])[None]))[0]
    np.testing.assert_array_equal(np.array(together[index][0]), want)


def test_transforms_come_after_the_poison():
    clean = Clean(transform=v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]), target_transform=str)
    data = PoisonedDataset(clean, BadNets(), rate=0.1)
    index = int(np.flatnonzero(data.poisoned)[0])
    image, label = data[index]
    assert label == "0"
    assert type(image) is type(clean[0][0])
    assert (image[:, -3:, -3:] == 1).all()
    view = RawView(data)
    assert isinstance(view.read(index).image, Image.Image)
    assert same_parts(view.read(index).finish(), data[index])


def test_text_labels():
    pairs = [(image, "cab"[label]) for image, label in Clean()]
    data = PoisonedDataset(pairs, BadNets(), rate=0.1, target=2)
    assert {label for (_, label), bad in zip(data, data.poisoned, strict=True) if bad} == {"c"}


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_can_be_sanitized():
    data = PoisonedDataset(Clean(), BadNets(size=1), rate=0.1, target=0)
    served = SanitizedDataset(data, "corner")
    assert (served.report.flagged == data.poisoned).all()
    for position, source in enumerate(served.source_index.tolist()):
        if data.poisoned[source]:
            assert same_parts(served[position], data.clean[source])
        else:
            assert same_parts(served[position], data[source])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0}, "rate=0: .* greater than 0"),
        ({"rate": 0.001}, "is none"),
        ({"target": 7}, "no image has target 7"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        PoisonedDataset(Clean(), BadNets(), **arguments)
