"""Peeling: raw items without touching the user's objects."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from unpoison.data.access import RawView
from unpoison.data.eight_bit import EightBit, Levels, decode_png, from_eight_bit, to_eight_bit
from unpoison.data.encoded import Encoded
from unpoison.data.images import peak
from unpoison.data.items import class_of, find_keys, label_like
from unpoison.data.random_states import preserved_rng
from unpoison.errors import DatasetError
from unpoison.keep import KEEP


class Sample(Dataset):
    """Calls its transform with the whole sample, as PyTorch's tutorial does."""

    def __init__(self, count=6):
        self.count = count
        self.transform = self.mirror
        self.transforms = None

    @staticmethod
    def mirror(sample):
        return {**sample, "image": np.ascontiguousarray(sample["image"][:, ::-1]), "mirrored": True}

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3) + np.uint8(index)
        return self.transform({"image": image, "label": index % 2})


class Dependent(Sample):
    """Looks at the transformed image, so that peeling would change another field."""

    @staticmethod
    def mirror(image):
        return np.ascontiguousarray(image[:, ::-1])

    def __getitem__(self, index):
        image = self.transform(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
        return image, index % 2, int(image[0, 0, 0])


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        place = tmp_path / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        Image.new("RGB", (9, 7), (number, 40, 90)).save(place / f"{number}.jpg")
    return ImageFolder(tmp_path, transform=v2.RandomHorizontalFlip())


def test_users_objects_stay_as_they_are(folder):
    before = dict(folder.__dict__)
    subset = Subset(folder, [0, 3])
    RawView(ConcatDataset([subset, folder])).read(1)
    assert folder.__dict__ == before
    assert subset.dataset is folder


def test_folder_keeps_the_files_bytes(folder):
    view = RawView(Subset(folder, [3, 0]))
    record = view.read(0)
    assert isinstance(record.stored_image, Encoded)
    assert record.stored_image.data == Path(folder.samples[3][0]).read_bytes()
    assert record.stored_image.extension == "jpg"
    assert record.stored_image.size == (7, 9)
    assert record.image.mode == "RGB"
    assert [step.name for step in record.steps] == ["transform"]
    assert view.names() == ["class0", "class1"]


def test_custom_loader_is_read_as_it_is(folder):
    folder.loader = lambda path: Image.open(path).convert("L")
    assert RawView(folder).read(0).image.mode == "L"


def test_transforms_of_the_whole_sample():
    dataset = Sample()
    record = RawView(dataset).read(2)
    assert record.item.keys() == {"image", "label"}
    np.testing.assert_array_equal(record.finish()["image"], dataset[2]["image"])
    assert record.finish(np.zeros((8, 8, 3), np.uint8), 1)["mirrored"]
    assert record.finish(transform=None).keys() == {"image", "label"}


def test_a_dataset_that_looks_at_transformed_images_is_taken_as_it_is():
    dataset = Dependent()
    record = RawView(dataset).read(1)
    assert record.steps == []
    np.testing.assert_array_equal(record.image, dataset[1][0])


def test_transforms_replay_in_the_order_of_the_wrappers():
    class Wrap(Dataset):
        def __init__(self, dataset, transform):
            self.dataset, self.transform = dataset, transform

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, index):
            image, label = self.dataset[index]
            return self.transform(image), label

    inner = Wrap([(np.full((4, 4), n, np.uint8), n % 2) for n in range(6)], lambda image: image + 1)
    outer = Wrap(Subset(inner, [4, 5]), lambda image: image * 2)
    record = RawView(outer).read(1)
    assert record.image[0, 0] == 5
    assert record.finish()[0][0, 0] == 12
    assert record.finish(np.zeros((4, 4), np.uint8))[0][0, 0] == 2


def test_wrappers_may_forward_attributes(folder):
    class Forward(Dataset):
        def __init__(self, dataset):
            self.dataset = dataset

        def __getattr__(self, name):
            return getattr(self.dataset, name)

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, index):
            return self.dataset[index]

    view = RawView(Forward(folder))
    assert view.read(0).image.mode == "RGB"
    assert view.names() == ["class0", "class1"]
    assert len(view.read(0).steps) == 1


def test_datasets_may_be_lists_of_their_own_kind():
    class Items(list):
        pass

    items = Items((np.full((8, 8), n, np.uint8), n % 2) for n in range(6))
    assert RawView(items).read(3).label == 1


def test_a_transform_that_ignores_the_global_random_state_is_peeled():
    generator = np.random.default_rng(0)

    class Noisy(Sample):
        @staticmethod
        def mirror(sample):
            return {**sample, "image": sample["image"] + generator.integers(0, 9, (8, 8, 3)).astype(np.uint8)}

    assert [step.name for step in RawView(Noisy()).read(0).steps] == ["transform"]


def test_random_states_are_restored():
    random.seed(0)
    torch.manual_seed(0)
    want = random.random(), torch.rand(1).item()
    random.seed(0)
    torch.manual_seed(0)
    with preserved_rng():
        random.random()
        torch.rand(3)
    assert (random.random(), torch.rand(1).item()) == want


@pytest.mark.parametrize(
    "label",
    [
        torch.tensor([3]),
        np.array([3]),
        3,
        np.int16(3),
        np.float32(3),
        np.array(3),
        torch.tensor(3),
        torch.tensor(3, dtype=torch.uint8),
        "three",
    ],
)
def test_labels_keep_their_type(label):
    value = class_of(label)
    again = label_like(value, label)
    assert type(again) is type(label)
    assert again == label
    assert getattr(again, "dtype", None) == getattr(label, "dtype", None)


@pytest.mark.parametrize("label", [None, float("nan"), float("inf"), 0.5, -2, np.array([1, 2]), [1], torch.zeros(2)])
def test_labels_that_are_no_class(label):
    with pytest.raises(DatasetError, match="label"):
        class_of(label)


def test_fields_are_found_by_name_then_by_type():
    image = np.zeros((4, 4, 3), np.uint8)
    assert find_keys({"id": 7, "img": image, "label": 2, "mask": image}) == ("img", "label")
    assert find_keys({"scan": image, "grade": "b"}) == ("scan", "grade")
    with pytest.raises(DatasetError, match="2 of the fields"):
        find_keys({"left": image, "right": image, "label": 1})


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "1", "CMYK", "I;16", "I", "F"])
def test_same_pixels_give_the_same_image(mode):
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    image = Image.fromarray(values * np.uint8(1))
    if mode == "I;16":
        image = Image.fromarray(values.astype(np.uint16) * 257)
    elif mode == "1":
        image = Image.fromarray(values > 90)
    else:
        image = (image.convert("RGB") if mode in ("CMYK", "RGBA") else image).convert(mode)
    levels = {"f": Levels(floating=255), "i": Levels(integer=65535 if mode == "I;16" else 255)}.get(peak(image).kind)
    levels = levels or Levels()
    again = from_eight_bit(to_eight_bit(image, levels).colour, image, levels)
    assert again.mode == mode
    assert again.tobytes() == image.tobytes()


def test_palette_images_keep_mode_and_transparency():
    image = Image.effect_noise((16, 16), 60).convert("RGB").quantize(16)
    image.info["transparency"] = 3
    before = to_eight_bit(image, Levels())
    assert before.alpha is not None
    again = from_eight_bit(before.colour, image, Levels())
    assert again.mode == "P"
    assert (to_eight_bit(again, Levels()).alpha == before.alpha).all()


def test_png_is_exact_and_deterministic():
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        colour = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
        alpha = rng.integers(0, 256, (5, 7), dtype=np.uint8)
        for image in (EightBit(colour, None), EightBit(colour, alpha)):
            assert image.png() == image.png()
            np.testing.assert_array_equal(decode_png(image.png()), colour)
            if image.alpha is not None:
                np.testing.assert_array_equal(to_eight_bit(Encoded(image.png()), Levels()).alpha, alpha)


def test_keep_survives_pickling():
    import pickle

    assert pickle.loads(pickle.dumps(KEEP)) is KEEP
