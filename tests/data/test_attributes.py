"""What scripts read off a dataset beside its items."""

import datasets
import numpy as np
import pytest
import torch
from torchvision.datasets import ImageFolder, VisionDataset
from torchvision.transforms import v2

import corner
from unpoison import SanitizedDataset
from unpoison.errors import RawDataError, UnpoisonError

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
CLEAN = [i % 3 for i in range(24) if i != corner.POISONED[-1]]


class Arrays(VisionDataset):
    """Like MNIST or SVHN: labels in one array."""

    def __init__(self, pairs, kind, name, **transforms):
        super().__init__(None, **transforms)
        self.data = [image for image, _ in pairs]
        setattr(self, name, kind([label for _, label in pairs]))
        self._name = name

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data[index], int(getattr(self, self._name)[index])


def test_labels_are_clean_and_of_the_same_kind(pairs):
    for name in ("targets", "labels"):
        served = SanitizedDataset(Arrays(pairs, torch.tensor, name), "corner")
        assert (getattr(served, name) == torch.tensor(CLEAN)).all()
        served = SanitizedDataset(Arrays(pairs, np.array, name), "corner")
        assert (getattr(served, name) == np.array(CLEAN)).all()
        served = SanitizedDataset(Arrays(pairs, list, name), "corner")
        assert getattr(served, name) == CLEAN
    assert SanitizedDataset(pairs, "corner").targets == CLEAN
    assert not hasattr(SanitizedDataset(pairs, "corner"), "labels")


def test_labels_that_are_something_else(pairs):
    base = Arrays(pairs, list, "targets")
    base.labels = ["zero", "one", "two"]
    with pytest.raises(RawDataError, match=r"`labels` of Arrays are not the labels of its items.*`targets`"):
        _ = SanitizedDataset(base, "corner").labels


def test_raw_data_are_not_handed_out(tmp_path, pairs):
    corner.image_folder(*corner.make_images(), tmp_path / "photos")
    served = SanitizedDataset(ImageFolder(tmp_path / "photos"), "corner")
    for name in ("samples", "imgs"):
        with pytest.raises(RawDataError, match=rf"`{name}` of ImageFolder holds the data as they came.*`targets`"):
            getattr(served, name)
        assert not hasattr(served, name)
        assert getattr(served, name, None) is None
    assert issubclass(RawDataError, AttributeError | UnpoisonError)
    assert not hasattr(SanitizedDataset(Arrays(pairs, list, "targets"), "corner"), "data")
    for unknown in ("samples", "data", "extra"):
        with pytest.raises(AttributeError, match=unknown) as caught:
            getattr(SanitizedDataset(pairs, "corner"), unknown)
        assert not isinstance(caught.value, RawDataError)


def test_class_to_idx_and_transforms(tmp_path):
    base = corner.image_folder(*corner.make_images(), tmp_path / "photos")
    served = SanitizedDataset(base, "corner")
    assert served.class_to_idx == base.class_to_idx
    assert served.transforms is base.transforms
    served.transform = v2.PILToTensor()
    image, label = served.transforms(base.loader(base.samples[0][0]), 0)
    assert isinstance(image, torch.Tensor)
    assert label == 10
    assert not hasattr(SanitizedDataset([base[i] for i in range(24)], "corner", on_poison="keep"), "transforms")


def test_hugging_face(images_and_labels):
    images, labels = images_and_labels
    features = datasets.Features({"img": datasets.Image(), "kind": datasets.ClassLabel(3)})
    table = datasets.Dataset.from_dict({"img": list(images), "kind": labels.tolist()}, features=features)
    served = SanitizedDataset(table, "corner")
    assert served.features == features
    assert served.column_names == ["img", "kind"]
    assert served.num_rows == len(served) == 23
    for name in ("features", "column_names", "num_rows"):
        assert not hasattr(SanitizedDataset([(i, int(y)) for i, y in zip(images, labels, strict=True)], "corner"), name)
    assert not hasattr(served, "data")
