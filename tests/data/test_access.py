"""Peeling: raw items without touching the user's objects."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from unpoison.data.access import RawView
from unpoison.data.encoded import Encoded


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
