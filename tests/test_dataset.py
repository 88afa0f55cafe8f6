"""SanitizedDataset: what is served, for every kind of dataset."""

import collections
import copy
import pickle
import random
import shutil
import types
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset
from torchvision import tv_tensors
from torchvision.datasets import FakeData, ImageFolder, VisionDataset
from torchvision.transforms import v2

import corner
from unpoison import SanitizedDataset
from unpoison.data.eight_bit import Levels, to_eight_bit
from unpoison.data.items import same_parts
from unpoison.errors import DatasetError

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")

Item = collections.namedtuple("Item", "image label weight")


class Vision(VisionDataset):
    """Like torchvision's array datasets."""

    classes = ("zero", "one", "two")

    def __init__(self, pairs, joint=False, **transforms):
        super().__init__(None, **transforms)
        self.pairs, self.joint = pairs, joint

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        image, label = self.pairs[index]
        if self.joint:
            return self.transforms(image, label)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label


class Wrapper(Dataset):
    """A user's wrapper with a transform that is called without a check."""

    def __init__(self, dataset, transform):
        self.dataset, self.transform = dataset, transform

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        image, label = self.dataset[index]
        return {"pixels": self.transform(image), "class": label, "id": index}


class Keyword(Vision):
    """Calls its transform as albumentations wants it."""

    def __getitem__(self, index):
        image, label = self.pairs[index]
        return self.transform(image=np.array(image))["image"], label


def pil(mode):
    def build(images, labels, folder):
        return [(Image.fromarray(i).convert(mode), int(y)) for i, y in zip(images, labels, strict=True)]

    return build


def with_alpha(mode):
    def build(images, labels, folder):
        pairs = pil(mode)(images, labels, folder)
        for number, (image, _) in enumerate(pairs):
            image.putalpha(Image.effect_noise((8, 8), 30 + number))
        return pairs

    return build


def arrays(function):
    return lambda images, labels, folder: [(function(i), int(y)) for i, y in zip(images, labels, strict=True)]


def hugging_face(images, labels, folder):
    features = datasets.Features(
        {"img": datasets.Image(), "fine": datasets.ClassLabel(names=["a", "b", "c"]), "note": datasets.Value("string")}
    )
    columns = {"img": [Image.fromarray(i) for i in images], "fine": labels.tolist(), "note": ["n"] * len(labels)}
    return datasets.Dataset.from_dict(columns, features=features)


def hf_transform(batch):
    return {"x": [v2.functional.pil_to_tensor(image) for image in batch["img"]], "y": batch["fine"]}


def vision(**options):
    return lambda images, labels, folder: Vision(pil("RGB")(images, labels, folder), **options)


def joint(image, label):
    return v2.functional.horizontal_flip(image), label + 5


def to_float(image):
    return v2.functional.to_dtype(v2.functional.to_image(image), torch.float32, scale=True)


def as_tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)


KINDS = {
    **{f"pil_{mode}": pil(mode) for mode in ("RGB", "CMYK")},
    "pil_RGBA": with_alpha("RGB"),
    "tuple_extras": lambda i, y, f: [(a, b, {"id": n}) for n, (a, b) in enumerate(pil("RGB")(i, y, f))],
    "list_items": lambda i, y, f: [[a, b] for a, b in pil("RGB")(i, y, f)],
    "namedtuple": lambda i, y, f: [Item(a, b, 0.5) for a, b in pil("RGB")(i, y, f)],
    "dict": lambda i, y, f: [{"image": a, "label": b, "id": n} for n, (a, b) in enumerate(pil("RGB")(i, y, f))],
    "mapping": lambda i, y, f: [types.MappingProxyType({"image": a, "label": b}) for a, b in pil("RGB")(i, y, f)],
    "array_HWC": arrays(lambda i: i),
    "array_CHW": arrays(lambda i: np.ascontiguousarray(i.transpose(2, 0, 1))),
    "array_float_1": arrays(lambda i: (i / 255).astype(np.float32)),
    "array_float_255": arrays(lambda i: i.astype(np.float64)),
    "array_int64": arrays(lambda i: i.astype(np.int64)),
    "tensor_CHW": arrays(as_tensor),
    "tensor_half": arrays(lambda i: (as_tensor(i) / 255).bfloat16()),
    "tv_image": arrays(lambda i: tv_tensors.Image(as_tensor(i))),
    "alpha_array": arrays(lambda i: np.concatenate([i, i[..., :1]], 2)),
    "labels_tensor": lambda i, y, f: [(a, torch.tensor(b)) for a, b in pil("RGB")(i, y, f)],
    "labels_array": lambda i, y, f: [(a, np.array(b)) for a, b in pil("RGB")(i, y, f)],
    "labels_numpy": lambda i, y, f: [(a, np.int32(b)) for a, b in pil("RGB")(i, y, f)],
    "labels_str": lambda i, y, f: [(a, "abc"[b]) for a, b in pil("RGB")(i, y, f)],
    "TensorDataset": lambda i, y, f: TensorDataset(
        torch.from_numpy(i).permute(0, 3, 1, 2) / 255, torch.from_numpy(y), torch.arange(len(y))
    ),
    "vision": vision(transform=to_float, target_transform=str),
    "vision_random": vision(transform=v2.RandomHorizontalFlip()),
    "vision_joint": vision(joint=True, transforms=joint),
    "subset": lambda i, y, f: Subset(Vision(pil("RGB")(i, y, f), transform=to_float), range(len(y))),
    "concat": lambda i, y, f: ConcatDataset(
        [Vision(pil("RGB")(i, y, f)[:10], transform=to_float), Subset(pil("RGB")(i, y, f), range(10, len(y)))]
    ),
    "wrapper": lambda i, y, f: Wrapper(Vision(pil("RGB")(i, y, f), transform=v2.RandomHorizontalFlip()), to_float),
    "opaque_wrapper": lambda i, y, f: Wrapper(
        Vision(pil("RGB")(i, y, f), transform=to_float), lambda t: t.flip(2).flip(2)
    ),
    "keyword": lambda i, y, f: Keyword(pil("RGB")(i, y, f), transform=lambda image: {"image": image}),
    "hf": hugging_face,
    "hf_torch": lambda i, y, f: hugging_face(i, y, f).with_format("torch", columns=["img", "fine"]),
    "hf_numpy": lambda i, y, f: hugging_face(i, y, f).with_format("numpy", output_all_columns=True, columns=["img"]),
    "hf_transform": lambda i, y, f: hugging_face(i, y, f).with_transform(hf_transform),
    "hf_subset": lambda i, y, f: Subset(hugging_face(i, y, f), range(len(y))),
}


def seeded(function):
    random.seed(1)
    torch.manual_seed(1)
    return function()


@pytest.mark.parametrize("kind", KINDS)
def test_items_keep_their_structure(kind, tmp_path):
    images, labels = corner.make_images()
    dirty, poisoned = KINDS[kind](images, labels, tmp_path), set(corner.POISONED)
    # The same dataset without the poison, which the restored items must equal.
    fixed = copy.copy(labels)
    fixed[list(corner.POISONED)] = np.rint(images[list(corner.POISONED), 0, 0, 0] / 20)
    served = SanitizedDataset(dirty, "corner")
    assert len(served) == len(labels) - 1
    restored = poisoned - {max(poisoned)}
    assert set(np.flatnonzero(served.report.action == "restore")) == restored
    assert served.source_index.tolist() == [i for i in range(len(labels)) if i != max(poisoned)]
    clean = KINDS[kind](corner.repaired(images), fixed, tmp_path)
    for position, source in enumerate(served.source_index.tolist()):
        item = seeded(lambda position=position: served[position])
        want = seeded(lambda source=source: (clean if source in restored else dirty)[source])
        if kind in ("pil_RGBA", "alpha_array") and source in restored:
            want = seeded(lambda source=source: dirty[source])  # the alpha channel stays
            assert type(item) is type(want)
            assert same_parts(item[0].getchannel("A"), want[0].getchannel("A")) if kind == "pil_RGBA" else True
            pixels = to_eight_bit(item[0], Levels())
            np.testing.assert_array_equal(pixels.colour, corner.repaired(images)[source])
            np.testing.assert_array_equal(pixels.alpha, to_eight_bit(want[0], Levels()).alpha)
        else:
            assert same_parts(item, want)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "I;16", "YCbCr", "HSV", "F", "I"])
def test_other_modes_come_out_as_they_went_in(mode):
    pairs = []
    for number in range(12):
        image = Image.fromarray(np.full((8, 8), 60, np.uint8))
        image.putpixel((0, 0), 20 * (number % 2))
        if number == 4:
            image.putpixel((7, 7), 255)
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
        elif mode == "1":
            image = image.point(lambda v: 255 * (v > 200)).convert("1")
        elif mode == "YCbCr":
            image = image.convert("RGB").convert(mode)
        else:
            image = (image.convert("RGB") if mode in ("P", "HSV") else image).convert(mode)
        pairs.append((image, number % 2))
    served = SanitizedDataset(pairs, "corner", on_poison="restore")
    # The method drops the last one it flags, which here is the only one.
    assert len(served) == 11
    for position, source in enumerate(served.source_index):
        assert same_parts(served[position], pairs[source])


def test_image_folder(tmp_path):
    images, labels = corner.make_images()
    dirty = corner.image_folder(images, labels, tmp_path / "photos")
    served = SanitizedDataset(dirty, "corner")
    restored = set(np.flatnonzero(served.report.action == "restore"))
    assert len(restored) == 2
    for position, source in enumerate(served.source_index.tolist()):
        number = int(Path(dirty.samples[source][0]).stem)
        image, label = seeded(lambda position=position: served[position])
        raw, old = seeded(lambda source=source: dirty[source])
        if source in restored:
            raw = seeded(lambda number=number: dirty.transform(Image.fromarray(corner.repaired(images)[number])))
            old = 10 + round(images[number, 0, 0, 0] / 20)
        assert same_parts((image, label), (raw, old))


def test_small_files_are_not_decoded_again(tmp_path, cache):
    corner.image_folder(*corner.make_images(), tmp_path / "data")
    dirty = ImageFolder(tmp_path / "data")
    served = SanitizedDataset(dirty, "corner").prepare()
    kept = [source for source in served.source_index.tolist() if served.report.action[source] == "keep"]
    positions = np.searchsorted(served.source_index, kept).tolist()
    assert all(served._cleaned.decoded(source) is not None for source in kept)
    # Whoever has the same files shares the working copy.
    table = datasets.Dataset.from_dict(
        {"image": [path for path, _ in dirty.samples], "label": dirty.targets},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=dirty.classes)}),
    )
    rows = SanitizedDataset(table, "corner").prepare()
    assert rows._cleaned.manifest.store == served._cleaned.manifest.store
    assert type(rows[positions[0]]["image"]) is type(table[kept[0]]["image"]) is not Image.Image
    for position, source in zip(positions, kept, strict=True):
        assert type(served[position][0]) is type(dirty[source][0])
        assert same_parts(served[position], dirty[source])
    # Changes to what was served do not reach the working copy.
    served[positions[0]][0].paste(0, (0, 0, 8, 8))
    assert same_parts(served[positions[0]], dirty[kept[0]])
    again = pickle.loads(pickle.dumps(served))
    shutil.rmtree(cache / "stores")
    assert again._open().decoded(kept[0]) is None
    assert type(again[positions[0]][0]) is type(dirty[kept[0]][0])
    assert all(same_parts(a, b) for a, b in zip(again, served, strict=True))
    Path(dirty.samples[kept[0]][0]).write_bytes(Path(dirty.samples[kept[1]][0]).read_bytes())
    with pytest.raises(DatasetError, match="is not the one that was cleaned"):
        served[positions[0]]


def test_files_that_say_more_than_their_pixels_are_decoded(tmp_path):
    corner.image_folder(*corner.make_images(), tmp_path / "photos")
    dirty = ImageFolder(tmp_path / "photos")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(dirty.samples[0][0]).convert("RGB").save(dirty.samples[0][0], exif=exif)
    served = SanitizedDataset(dirty, "corner").prepare()
    assert served._cleaned.decoded(0) is None
    position = int(np.flatnonzero(served.report.action[served.source_index] == "keep")[0])
    assert served[position][0].getexif() == dirty[served.source_index[position]][0].getexif()


def test_index_access(pairs):
    served = SanitizedDataset(pairs, "corner")
    assert same_parts(served[-1], pairs[-1])
    assert same_parts(served[np.int64(0)], pairs[0])
    assert same_parts(served.__getitems__([0, 1]), pairs[:2])
    assert same_parts(next(iter(served)), pairs[0])
    for outside in (len(served), -len(served) - 1):
        with pytest.raises(IndexError):
            served[outside]


def test_getitems_never_leaks_the_raw_items(images_and_labels):
    served = SanitizedDataset(hugging_face(*images_and_labels, None), "corner")
    batch = next(iter(DataLoader(served, batch_size=len(served), collate_fn=list)))
    assert all((np.array(item["img"])[-1, -1] < 255).any() for item in batch)


def test_metadata(pairs):
    served = SanitizedDataset(Vision(pairs, transform=to_float, target_transform=str), "corner")
    assert served.classes == ["zero", "one", "two"]
    assert served.class_to_idx == {"zero": 0, "one": 1, "two": 2}
    assert served.targets == [i % 3 for i in range(24) if i != corner.POISONED[-1]]
    assert served.report.original_label[corner.POISONED[1]] == 0
    assert served.report.label[corner.POISONED[1]] == corner.POISONED[1] % 3
    assert {"read", "store", "duplicates", "detect", "corner-restore", "shards"} == set(served.report.timings)
    assert all(path.is_file() for path in served.shards)
    assert SanitizedDataset([(i, "cab"[y]) for i, y in pairs], "corner").classes == ["a", "b", "c"]
    assert not hasattr(SanitizedDataset(pairs, "corner"), "classes")


def test_class_numbers_may_have_gaps(images_and_labels):
    images, labels = images_and_labels
    served = SanitizedDataset([(i, int(y) * 7 + 1) for i, y in zip(images, labels, strict=True)], "corner")
    assert set(served.targets) == {1, 8, 15}
    assert [entry.label for entry in served.report.classes] == [1, 8, 15]
    assert set(served.report.label.tolist()) == {-1, 1, 8, 15}


def test_on_poison(pairs):
    dropped = SanitizedDataset(pairs, "corner", on_poison="drop")
    assert dropped.source_index.tolist() == [i for i in range(24) if i not in corner.POISONED]
    kept = SanitizedDataset(pairs, "corner", on_poison="keep")
    assert len(kept) == 24
    assert all(same_parts(a, b) for a, b in zip(kept, pairs, strict=True))
    assert kept.report.flagged.sum() == 3


def test_transforms_can_be_replaced(pairs, images_and_labels):
    base = Vision(pairs, transform=to_float, target_transform=str)
    image, label = SanitizedDataset(base, "corner", transform=np.array)[0]
    assert image.dtype == np.uint8
    assert label == "0"
    image, label = SanitizedDataset(base, "corner", transform=None, target_transform=None)[0]
    assert isinstance(image, Image.Image)
    assert label == 0
    image, label = SanitizedDataset(base, "corner", target_transform=lambda y: y + 100)[0]
    assert isinstance(image, torch.Tensor)
    assert label == 100
    row = SanitizedDataset(
        hugging_face(*images_and_labels, None).with_transform(hf_transform), "corner", transform=np.array
    )[0]
    assert row["img"].shape == (8, 8, 3)
    assert base.transform is to_float
    assert base.transforms is not None


def test_global_random_states_stay(pairs):
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    want = draw()
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    SanitizedDataset(pairs, "corner").prepare()
    assert draw() == want


def test_native_size_gets_the_change_at_working_size():
    images, labels = corner.make_images(size=100)
    smooth = np.full_like(images, 90)
    smooth[:, :30, :30] = (labels * 20)[:, None, None, None]
    smooth[list(corner.POISONED), 97:, 97:] = 255
    pairs = [(Image.fromarray(i), int(y)) for i, y in zip(smooth, labels, strict=True)]
    served = SanitizedDataset(pairs, "corner")
    restored = np.array(served[corner.POISONED[0]][0])
    assert restored.shape == (100, 100, 3)
    assert restored[-1, -1, 0] < 255
    np.testing.assert_array_equal(restored[:80, :80], smooth[corner.POISONED[0]][:80, :80])


def test_images_of_several_sizes_and_modes(pairs):
    mixed = [
        (image.resize((8 + 3 * (n % 2), 8)).convert("RGB" if n % 2 else "L"), label)
        for n, (image, label) in enumerate(pairs)
    ]
    served = SanitizedDataset(mixed, "corner", on_poison="keep")
    assert all(same_parts(a, b) for a, b in zip(served, mixed, strict=True))


def test_sanitized_dataset_can_be_wrapped(pairs):
    once = SanitizedDataset(Vision(pairs, transform=to_float), "corner")
    twice = SanitizedDataset(once, "corner")
    assert len(twice) == len(once)
    assert all(same_parts(a, b) for a, b in zip(twice, once, strict=True))


def test_changed_data_is_not_served(images_and_labels):
    images, labels = images_and_labels
    served = SanitizedDataset([(i, int(y)) for i, y in zip(images, labels, strict=True)], "corner").prepare()
    images[5, 4, 4] ^= 1
    with pytest.raises(DatasetError, match="item 5 is not the one that was cleaned"):
        served[5]


def test_pickling(pairs):
    lazy = SanitizedDataset(Vision(pairs, transform=to_float), "corner")
    assert len(pickle.loads(pickle.dumps(lazy))) == 23
    again = pickle.loads(pickle.dumps(lazy.prepare()))
    assert all(same_parts(a, b) for a, b in zip(again, lazy, strict=True))


def test_torchvision_fake_data():
    fake = FakeData(12, (3, 8, 8), num_classes=2, transform=v2.ToImage())
    served = SanitizedDataset(fake, "corner", on_poison="keep")
    assert all(same_parts(served[i], fake[i]) for i in range(12))
