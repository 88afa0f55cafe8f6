"""Transforms that are called with more than the image, and what is set on datasets after they were wrapped."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset
from torchvision import tv_tensors
from torchvision.transforms import v2

import corner
from unpoison import SanitizedDataset
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.errors import DatasetError

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
COUNT = 40
CROP = 5


class RandomCrop:
    """Called as those of albumentations are: by keyword, with a random state of its own, which nobody can seed."""

    available_keys = frozenset({"image", "mask", "masks", "bboxes"})

    def __init__(self, size=CROP):
        self.size, self._random = size, np.random.default_rng()

    def __call__(self, *args, force_apply=False, **data):
        if args:
            raise KeyError("You have to pass data to augmentations as named arguments")
        assert type(data["image"]) is np.ndarray
        y, x = self._random.integers(0, len(data["image"]) - self.size + 1, 2)
        out = dict(data)
        for name in {"image", "mask"} & set(data):
            out[name] = data[name][y : y + self.size, x : x + self.size]
        if "bboxes" in data:
            out["bboxes"] = [(left - x, top - y) for left, top in data["bboxes"]]
        return out


class Segmented(Dataset):
    """Images whose red channel is their mask: a mask belongs to an image where it equals it."""

    def __init__(self, transform=None, transforms=None, kind="dict"):
        self.images, self.labels = corner.make_images(COUNT)
        self.transform, self.transforms, self.kind = transform, transforms, kind

    def __len__(self):
        return COUNT

    def raw(self, index):
        image = self.images[index]
        return image, np.ascontiguousarray(image[..., 0]), int(self.labels[index])

    def __getitem__(self, index):
        image, mask, label = self.raw(index)
        if self.transform is not None:
            out = self.transform(image=image, mask=mask)
            image, mask = out["image"], out["mask"]
        if self.transforms is not None:
            image = tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))
            image, mask = self.transforms(image, tv_tensors.Mask(mask))
        if self.kind == "dict":
            return {"image": image, "mask": mask, "label": label}
        return image, label, mask


class Whole(Segmented):
    def __getitem__(self, index):
        image, mask, label = self.raw(index)
        return self.transform(image=image, mask=mask, label=label)


class Converted(Segmented):
    def __getitem__(self, index):
        image, mask, label = self.raw(index)
        out = self.transform(image=image, mask=mask)
        return {"image": out["image"], "mask": out["mask"].astype(np.int64), "label": label}


class Boxes(Segmented):
    def __getitem__(self, index):
        image, _, label = self.raw(index)
        out = self.transform(image=image, bboxes=[(3, 4), (5, 6)])
        return {"image": out["image"], "label": label, "boxes": out["bboxes"]}


class WithOriginal(Segmented):
    """Two views of an image, and the image itself."""

    def __getitem__(self, index):
        image, _, label = self.raw(index)
        views = [self.transform(image=image)["image"] for _ in range(2)]
        return {"image": views[0], "other": views[1], "original": image, "label": label}


def matches(items):
    """In how many items the mask lies where the image does."""
    count = 0
    for item in items:
        image, mask = (item["image"], item["mask"]) if isinstance(item, dict) else (item[0], item[2])
        red = np.asarray(image[0] if isinstance(image, torch.Tensor) else image[..., 0])
        assert red.shape == (CROP, CROP)
        count += bool((red == np.asarray(mask).squeeze()).all())
    return count


def kept(dataset, **options):
    return SanitizedDataset(dataset, "corner", on_poison="keep", **options)


@pytest.mark.parametrize("kind", ["dict", "tuple"])
def test_masks_stay_with_their_images(kind):
    raw = Segmented(RandomCrop(), kind=kind)
    assert matches(raw) == COUNT
    served = kept(raw)
    assert matches(served) == COUNT
    assert matches(kept(Subset(raw, range(COUNT)))) == COUNT
    poisoned = PoisonedDataset(raw, BadNets(size=2), rate=0.1)
    assert matches(poisoned[position] for position in np.flatnonzero(~poisoned.poisoned)) == COUNT - 4


def test_an_item_that_is_the_result():
    crop = RandomCrop()
    assert matches(kept(Whole(crop))) == COUNT
    served = SanitizedDataset(Whole(crop), "corner")
    restored = served[corner.POISONED[1]]
    assert restored["label"] == served.report.label[corner.POISONED[1]] != 0


def test_restored_pixels_are_what_is_transformed():
    served = SanitizedDataset(Segmented(RandomCrop(8)), "corner")
    images, _ = corner.make_images(COUNT)
    np.testing.assert_array_equal(served[3]["image"], corner.repaired(images)[3])
    np.testing.assert_array_equal(served[3]["mask"], images[3, ..., 0])


def test_torchvision_transforms_of_image_and_mask():
    raw = Segmented(transforms=v2.RandomCrop(CROP))
    assert matches(raw) == COUNT
    assert matches(kept(raw)) == COUNT
    raw = Segmented(transforms=v2.RandomCrop(CROP), kind="tuple")
    assert matches(kept(raw)) == COUNT
    assert isinstance(kept(raw)[0][2], tv_tensors.Mask)


def test_boxes_go_with_the_image():
    raw = Boxes(RandomCrop())
    for number in range(9):
        item = kept(raw)[number]
        x, y = 3 - item["boxes"][0][0], 4 - item["boxes"][0][1]
        np.testing.assert_array_equal(item["image"], raw.images[number, y : y + CROP, x : x + CROP])


def test_views_and_the_original_are_all_clean():
    served = SanitizedDataset(WithOriginal(RandomCrop()), "corner")
    clean = corner.repaired(corner.make_images(COUNT)[0])[3]
    item = served[3]
    np.testing.assert_array_equal(item["original"], clean)
    assert item["image"].shape == item["other"].shape == (CROP, CROP, 3)
    corners = {tuple(served[3]["other"][-1, -1].tolist()) for _ in range(60)}
    assert (255, 255, 255) not in corners
    assert tuple(clean[-1, -1].tolist()) in corners


def test_the_image_in_two_fields_is_clean_in_both(images_and_labels):
    images, labels = images_and_labels
    items = [{"image": i, "label": int(y), "copy": i} for i, y in zip(images, labels, strict=True)]
    item = SanitizedDataset(items, "corner")[corner.POISONED[0]]
    np.testing.assert_array_equal(item["copy"], corner.repaired(images)[corner.POISONED[0]])


def test_a_result_that_is_changed_afterwards_is_refused():
    with pytest.raises(DatasetError, match=r"what `transform` returns is changed.*return its results as they are"):
        kept(Converted(RandomCrop()))
    # What nobody has to follow is served.
    served = kept(Converted(lambda image, mask: {"image": image[::-1], "mask": mask[::-1]}))
    np.testing.assert_array_equal(served[0]["mask"], served[0]["image"][..., 0])


def test_a_call_by_position_and_keyword_is_refused():
    class Mixed(Segmented):
        def __getitem__(self, index):
            image, mask, label = self.raw(index)
            return *self.transform(image, mask=mask), label

    def noisy(image, mask):
        return image + np.random.default_rng().integers(0, 9, image.shape).astype(np.uint8), mask

    with pytest.raises(DatasetError, match="both by position and by keyword"):
        kept(Mixed(noisy))


def test_a_transform_of_the_users_is_called_by_keyword(pairs):
    crop = RandomCrop()
    assert matches(kept(Segmented(), transform=crop)) == COUNT
    assert matches(kept(Segmented(RandomCrop(8)), transform=crop)) == COUNT
    image, label = kept(pairs, transform=crop)[0]
    assert image.shape == (CROP, CROP, 3)
    assert label == 0
    with pytest.raises(DatasetError, match=r"field 2 holds another image or mask"):
        kept(Segmented(kind="tuple"), transform=crop)[0]


def test_a_transform_of_the_users_that_cannot_stand_in():
    with pytest.raises(DatasetError, match="the dataset calls `transform` with keywords"):
        kept(Segmented(RandomCrop()), transform=v2.RandomCrop(4))[0]
    unchanged = Converted(lambda image, mask: {"image": image, "mask": mask})
    with pytest.raises(DatasetError, match="what `transform` returns is changed"):
        kept(unchanged, transform=RandomCrop())[0]
    tensors = [(torch.from_numpy(i).permute(2, 0, 1), int(y)) for i, y in zip(*corner.make_images(), strict=True)]
    with pytest.raises(DatasetError, match=r"takes keywords.*the images are Tensor"):
        kept(tensors, transform=RandomCrop())[0]


def test_tv_tensors_go_with_the_image_through_a_transform_of_the_users():
    raw = Segmented(transforms=lambda image, mask: (image, mask))
    raw = [raw[index] for index in range(COUNT)]
    assert matches(kept(raw, transform=v2.RandomCrop(CROP))) == COUNT


class Plain(Dataset):
    def __init__(self, pairs, transform=None, target_transform=None, transforms=None):
        self.pairs = pairs
        self.transform, self.target_transform, self.transforms = transform, target_transform, transforms

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        image, label = self.pairs[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        if self.transforms is not None:
            image, label = self.transforms(image, label)
        return image, label


@pytest.mark.parametrize(
    "wrap", [lambda base: base, lambda base: Subset(base, range(24)), lambda base: ConcatDataset([base, base])]
)
@pytest.mark.parametrize("before", [None, lambda image: image.resize((9, 9))])
def test_the_transform_that_was_set_last_counts(wrap, before, pairs):
    base = Plain(pairs, before)
    served = SanitizedDataset(wrap(base), "corner").prepare()
    served[0]
    base.transform = np.array
    assert served[0][0].shape == (8, 8, 3)
    base.transform = lambda image: np.array(image)[:4]
    base.target_transform = str
    assert served[3][0].shape == (4, 8, 3)
    assert served[3][1] == str(served.report.label[3])
    base.transform, base.target_transform, base.transforms = None, None, lambda image, label: (image, label + 7)
    assert served[3][1] == served.report.label[3] + 7
    assert isinstance(served[3][0], Image.Image)
    served.transform = np.array
    base.transform = None
    assert isinstance(served[0][0], np.ndarray)


def test_copies_notice_what_is_set(pairs):
    served = copy.deepcopy(kept(Plain(pairs)).prepare())
    served.dataset.transform = np.array
    assert isinstance(served[0][0], np.ndarray)
    again = pickle.loads(pickle.dumps(kept(Plain(pairs)).prepare()))
    again.dataset.transform = np.array
    assert isinstance(again[0][0], np.ndarray)


def test_workers_use_what_was_set_before_they_start(pairs):
    base = Plain(pairs)
    served = kept(base).prepare()
    base.transform = lambda image: torch.tensor(np.array(image))[:3]
    batch, _ = next(iter(DataLoader(served, batch_size=4, num_workers=1, multiprocessing_context="fork")))
    assert batch.shape == (4, 3, 8, 3)


def test_what_is_set_last_may_hide_nothing_either(pairs):
    class Float(Plain):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return np.array(image, np.float32) / 255, label

    base = Float(pairs)
    served = kept(base).prepare()
    base.transform = lambda image: Image.fromarray(np.random.default_rng().permutation(np.array(image)))
    with pytest.raises(DatasetError, match="what `transform` returns is changed"):
        served[0]


def test_the_transform_in_effect_can_be_read(pairs):
    flip, crop = v2.RandomHorizontalFlip(), v2.Compose([v2.CenterCrop(4)])
    base = Plain(pairs, flip)
    for served in (kept(base), kept(Subset(base, range(24))), kept(ConcatDataset([base, base]))):
        assert served.transform is flip
        assert served.target_transform is None
        served.transform = crop
        assert served.transform.transforms == [crop.transforms[0]]
        assert served[0][0].size == (4, 4)
        served.transform = None
        assert served.transform is None
        assert served[0][0].size == (8, 8)
        served.target_transform = str
        assert served[1][1] == "1"
    assert kept(pairs).transform is None
    assert base.transform is flip
    assert PoisonedDataset(base, BadNets(size=2), rate=0.2).transform is flip


def test_augmix_of_timm(pairs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from timm.data import create_transform
        from timm.data.dataset import AugMixDataset

    base = Plain(pairs)
    served = kept(base)
    mixed = AugMixDataset(served, num_splits=3)
    mixed.transform = create_transform(
        8, is_training=True, auto_augment="augmix-m3-w2", separate=True, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    images, label = mixed[0]
    assert label == 0
    assert [tuple(image.shape) for image in images] == [(3, 8, 8)] * 3
    served.transform = create_transform(8, is_training=True, separate=True)
    assert len(AugMixDataset(served, num_splits=2)[0][0]) == 2
