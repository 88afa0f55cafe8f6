"""What holds for any item, image, dataset and shard, tried on made-up ones."""

import tempfile
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as made
from PIL import Image

from unpoison import SanitizedDataset, Sanitizer
from unpoison.data.access import RawView
from unpoison.data.change import apply_change
from unpoison.data.eight_bit import EightBit, Levels, decode_png, from_eight_bit, to_eight_bit
from unpoison.data.images import fingerprint, image_size
from unpoison.data.items import find_keys, put, same_parts
from unpoison.data.shards import ShardReader, ShardSample, write_shards

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
repeated = settings(
    deadline=None, derandomize=True, database=None, max_examples=40, suppress_health_check=list(HealthCheck)
)
Pair = namedtuple("Pair", ["picture", "y"])
SIDES = st.integers(8, 14)
PIL_MODES = ("L", "RGB", "LA", "RGBA", "1", "P", "CMYK", "YCbCr")


@st.composite
def arrays(draw, channels=(1, 3)):
    """uint8 [H,W,C]."""
    shape = (draw(SIDES), draw(SIDES), draw(st.sampled_from(channels)))
    # Single bytes are drawn slowly; what counts is that values vary.
    return np.random.default_rng(draw(st.integers(0, 2**16))).integers(0, 256, shape, np.uint8)


@st.composite
def exact_images(draw):
    """Images of all kinds that hold 8 bits per channel, and come back as they were."""
    pixels = draw(arrays(channels=(1, 2, 3, 4)))
    kind = draw(st.sampled_from(["HWC", "CHW", "tensor", "PIL", "float", "wide"]))
    if kind == "CHW":
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    if kind == "tensor":
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    if kind == "PIL":
        return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    if kind == "float":
        return pixels.astype(draw(st.sampled_from([np.float32, np.float64]))) / 255
    if kind == "wide":
        return pixels.astype(draw(st.sampled_from([np.int16, np.uint16, np.int32, np.int64])))
    return pixels


@st.composite
def items(draw):
    """An item, and where image and label are in it."""
    image, label = draw(exact_images()), draw(st.integers(0, 9) | st.sampled_from(["cat", "dog"]))
    rest = draw(st.lists(st.integers() | st.text(max_size=3) | st.none(), max_size=3))
    match draw(st.sampled_from(["tuple", "list", "dict", "ordered", "named"])):
        case "tuple":
            return (image, label, *rest), (0, 1)
        case "list":
            return [image, label, *rest], (0, 1)
        case "named":
            return Pair(image, label), (0, 1)
        case kind:
            fields = {f"field{number}": [value] for number, value in enumerate(rest)}
            fields |= {"img": image, "label": label}
            order = draw(st.permutations(list(fields)))
            mapping = {key: fields[key] for key in order}
            return (mapping if kind == "dict" else OrderedDict(mapping)), ("img", "label")


@repeated
@given(items())
def test_putting_image_and_label_back_changes_nothing(case):
    item, expected = case
    keys = find_keys(item)
    assert keys == expected
    image, label = item[keys.image], item[keys.label]
    assert same_parts(put(item, keys, image, label), item)
    other = put(item, keys, image, 3)
    assert type(other) is type(item)
    assert other[keys.label] == 3
    assert same_parts(put(other, keys, image, label), item)


@repeated
@given(exact_images())
def test_what_holds_8_bits_comes_back_as_it_was(image):
    pixels = to_eight_bit(image, Levels())
    again = from_eight_bit(pixels.colour, image, Levels())
    assert type(again) is type(image)
    assert fingerprint(again, 0) == fingerprint(image, 0)
    assert pixels.colour.shape[:2] == image_size(image)


@repeated
@given(arrays(channels=(3,)), st.sampled_from(PIL_MODES))
def test_pil_images_keep_mode_size_and_alpha(pixels, mode):
    image = Image.fromarray(pixels).convert(mode)
    seen = to_eight_bit(image, Levels())
    again = from_eight_bit(seen.colour, image, Levels())
    assert (again.mode, again.size) == (image.mode, image.size)
    if seen.alpha is not None:
        np.testing.assert_array_equal(to_eight_bit(again, Levels()).alpha, seen.alpha)
    if mode in ("L", "RGB", "LA", "RGBA", "1"):
        assert fingerprint(again, 0) == fingerprint(image, 0)


@repeated
@given(arrays(), st.none() | st.integers(0, 255))
def test_png_keeps_every_pixel(colour, alpha):
    image = EightBit(colour, None if alpha is None else np.full(colour.shape[:2], alpha, np.uint8))
    np.testing.assert_array_equal(decode_png(image.png()), colour)


@repeated
@given(arrays(), SIDES, SIDES)
def test_no_change_at_working_size_is_none_at_the_images_own(colour, height, width):
    """Whatever the sizes are; and a change that is one leaves the alpha channel alone."""
    alpha = np.arange(colour[..., 0].size, dtype=np.uint8).reshape(colour.shape[:2])
    copy = np.full((height, width, colour.shape[2]), 90, np.uint8)
    if copy.shape == colour.shape:
        copy = colour
    same = apply_change(EightBit(colour, alpha), copy, copy.copy())
    np.testing.assert_array_equal(same.colour, colour)
    changed = apply_change(EightBit(colour, alpha), copy, copy // 2)
    assert changed.colour.shape == colour.shape
    np.testing.assert_array_equal(changed.alpha, alpha)


@st.composite
def datasets(draw):
    """Some items of one structure, with images of one kind of any size and two classes."""
    count = draw(st.integers(4, 8))
    kind = draw(st.sampled_from(["PIL", "array", "tensor"]))
    named = draw(st.booleans())
    out = []
    for number in range(count):
        pixels = draw(arrays(channels=(3,)))
        image = {
            "PIL": Image.fromarray(pixels),
            "array": pixels,
            "tensor": torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
        }[kind]
        out.append({"image": image, "label": number % 2, "id": number} if named else (image, number % 2, number))
    return out


@settings(repeated, max_examples=12)
@given(datasets())
def test_items_are_read_and_served_as_they_are(data):
    view = RawView(data)
    assert len(view) == len(data)
    for number, item in enumerate(data):
        record = view.read(number)
        assert same_parts(record.image, item["image"] if isinstance(item, dict) else item[0])
        assert record.label == number % 2
    with tempfile.TemporaryDirectory() as folder:
        served = SanitizedDataset(data, "corner", cache_dir=folder, on_poison="keep", device="cpu", progress=False)
        assert all(same_parts(served[number], item) for number, item in enumerate(data))


@settings(repeated, max_examples=8)
@given(datasets())
def test_exported_sets_hold_every_pixel_and_label(data):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        Sanitizer("corner", cache_dir=Path(folder, "cache"), on_poison="keep", device="cpu", progress=False).export(
            data, out
        )
        again = SanitizedDataset.from_shards(out)
        assert len(again) == len(data)
        for (image, label), item in zip([again[n] for n in range(len(again))], data, strict=True):
            wanted, own = (item["image"], item["label"]) if isinstance(item, dict) else item[:2]
            assert label == own
            np.testing.assert_array_equal(to_eight_bit(image, Levels()).colour, to_eight_bit(wanted, Levels()).colour)


@settings(repeated, max_examples=25)
@given(
    st.lists(made.arrays(np.uint8, (4, 5, 3), elements=st.integers(0, 255), fill=st.just(7)), min_size=1, max_size=9),
    st.integers(1, 5),
)
def test_shards_of_any_length_give_random_access(colours, per_shard):
    with tempfile.TemporaryDirectory() as folder:
        pngs = [EightBit(colour, None).png() for colour in colours]
        shards = write_shards(
            Path(folder), len(pngs), lambda n: ShardSample(pngs[n], n, {"source_index": n}), per_shard=per_shard
        )
        assert len(shards) == -(-len(pngs) // per_shard)
        reader = ShardReader(Path(folder))
        assert len(reader) == len(pngs)
        for number in np.random.default_rng(0).permutation(len(pngs)).tolist():
            assert reader.image(number) == pngs[number]
            np.testing.assert_array_equal(decode_png(reader.image(number)), colours[number])
