"""Image and label in an item."""

import numpy as np
import pytest
import torch

from unpoison.data.items import class_of, find_keys, label_like
from unpoison.errors import DatasetError


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
