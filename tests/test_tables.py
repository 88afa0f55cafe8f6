"""`unpoison.sanitize` and `map`: what Hugging Face's `datasets` makes of the results."""

import io
import pickle

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import corner
import unpoison
from unpoison import Sanitizer
from unpoison.errors import ConfigError, DatasetError

pytestmark = [
    pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning"),
    # datasets leaves some of its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
RESTORED, DROPPED = corner.POISONED[:-1], corner.POISONED[-1]


def make_table(image="picture", label="kind"):
    """JPEG files as bytes, in columns of any name; what stays white after compression is poison."""
    images, labels = corner.make_images(24, size=16)
    images[:, :8, :8] = images[:, :1, :1]
    images[:, 8:] = images[:, :, 8:] = 90
    images[list(corner.POISONED), 8:, 8:] = 255
    files = []
    for number, pixels in enumerate(images):
        pixels[0, 1] = number
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "jpeg", quality=100)
        files.append({"bytes": buffer.getvalue(), "path": f"{number}.jpg"})
    features = datasets.Features(
        {image: datasets.Image(), label: datasets.ClassLabel(names=["a", "b", "c"]), "note": datasets.Value("string")}
    )
    columns = {image: files, label: labels.tolist(), "note": [f"n{number}" for number in range(len(files))]}
    return datasets.Dataset.from_dict(columns, features=features)


def stored(table, image="picture"):
    return table.with_format(None).cast_column(image, datasets.Image(decode=False))[image][:]


def check(cleaned, table, image="picture"):
    """Restored rows are new, untouched ones equal to the byte, dropped ones gone."""
    rows, before, after = cleaned.with_format(None), stored(table, image), stored(cleaned, image)
    assert sorted(int(note[1:]) for note in rows["note"]) == [n for n in range(24) if n != DROPPED]
    for row, file in zip(rows, after, strict=True):
        source = int(row["note"][1:])
        assert row["unpoison_action"] == ("restore" if source in RESTORED else "keep")
        assert row["unpoison_score"] == float(source in RESTORED)
        if source in RESTORED:
            assert np.array(row[image])[-1, -1, 0] == np.array(row[image])[-1, -2, 0]
            # What was restored to what it was keeps its file.
            was = np.array(Image.open(io.BytesIO(before[source]["bytes"])))
            changed = (np.array(row[image]) != was).any()
            assert file["bytes"].startswith(b"\x89PNG") if changed else file["bytes"] == before[source]["bytes"]
        else:
            assert file["bytes"] == before[source]["bytes"]


def test_a_dataset_of_any_column_names():
    table = make_table()
    cleaned = unpoison.sanitize(table, "corner")
    check(cleaned, table)
    assert {key: cleaned.features[key] for key in table.features} == table.features
    assert set(cleaned.features) - set(table.features) == {"unpoison_action", "unpoison_score"}


def test_processes():
    table = make_table("img", "fine_label")
    check(unpoison.sanitize(table, "corner", num_proc=2), table, "img")


def test_map_keeps_the_bytes_in_batches_with_restored_rows():
    table = make_table()
    sanitizer = Sanitizer("corner")
    sanitizer.fit(table)
    mapped = table.map(sanitizer, batched=True, with_indices=True)
    check(mapped.filter(lambda action: action != "drop", input_columns="unpoison_action"), table)
    for form in ("torch", "numpy"):
        with pytest.raises(DatasetError, match=r"map over dataset.with_format\(None\)"):
            table.with_format(form).map(sanitizer, batched=True, with_indices=True)


def test_rows_in_another_order_are_refused():
    table = make_table()
    sanitizer = Sanitizer("corner")
    sanitizer.fit(table)
    with pytest.raises(DatasetError, match="not of the dataset"):
        table.shuffle(seed=0).map(sanitizer, batched=True, with_indices=True)
    # The first rows are the same.
    assert len(table.select(range(5)).map(sanitizer, batched=True, with_indices=True)) == 5


def test_the_same_result_has_the_same_fingerprint(tmp_path):
    make_table().save_to_disk(tmp_path / "table")
    first = unpoison.sanitize(datasets.load_from_disk(tmp_path / "table"), "corner")
    again = unpoison.sanitize(datasets.load_from_disk(tmp_path / "table"), "corner")
    other = unpoison.sanitize(datasets.load_from_disk(tmp_path / "table"), "corner", on_poison="drop")
    assert first._fingerprint == again._fingerprint != other._fingerprint
    # It comes out of the cache of `datasets`.
    assert first.cache_files == again.cache_files != []


def test_copies_in_a_stream_are_not_all_dropped():
    """Rows with the same image and label cannot be told apart; those under another label can."""
    images, labels = corner.make_images(24)
    chosen = [*range(24), 0, 0, 1, 2, 2]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = {"image": [Image.fromarray(images[place]) for place in chosen], "label": labels[chosen].tolist()}
    rows["label"][26] = 0
    rows["label"][27] = 1
    stream = datasets.Dataset.from_dict(rows, features=features).to_iterable_dataset()

    def served(**options):
        found = [np.asarray(row["image"]).tobytes() for row in unpoison.sanitize(stream, "corner", **options)]
        return [found.count(images[place].tobytes()) for place in range(3)]

    assert served() == [3, 2, 3]
    # As often under one label as under another, both go; else the label that is there more often stays.
    assert served(duplicates="drop") == [3, 0, 2]


def test_splits():
    table = make_table()
    splits = datasets.DatasetDict(train=table, test=table)
    cleaned = unpoison.sanitize(splits, "corner")
    assert type(cleaned) is datasets.DatasetDict
    check(cleaned["train"], table)
    assert cleaned["test"] is table
    check(unpoison.sanitize(splits, "corner", split="test")["test"], table)
    with pytest.raises(ConfigError, match="no split 'dev': choose one of train, test"):
        unpoison.sanitize(splits, "corner", split="dev")


def test_formats_stay():
    table = make_table()
    assert unpoison.sanitize(table.with_format("numpy"), "corner")[3]["picture"].shape == (16, 16, 3)
    narrow = unpoison.sanitize(table.with_format("torch", columns=["kind"]), "corner")
    assert set(narrow[0]) == {"kind"}
    assert isinstance(narrow[0]["kind"], torch.Tensor)
    changed = unpoison.sanitize(table.with_transform(lambda batch: {"x": batch["kind"]}), "corner")
    assert changed[0] == {"x": 0}


@pytest.mark.parametrize("num_shards", [1, 4])
def test_streams(num_shards):
    table = make_table()
    stream = table.to_iterable_dataset(num_shards=num_shards)
    cleaned = unpoison.sanitize(stream, "corner")
    assert isinstance(cleaned, datasets.IterableDataset)
    assert cleaned.num_shards == num_shards
    assert cleaned.features["picture"] == table.features["picture"]
    assert cleaned.features["kind"] == table.features["kind"]
    assert isinstance(next(iter(cleaned))["picture"], Image.Image)
    for chosen in (cleaned, cleaned.shuffle(seed=1, buffer_size=9), pickle.loads(pickle.dumps(cleaned))):
        raw = list(chosen.cast_column("picture", datasets.Image(decode=False)))
        check(datasets.Dataset.from_list(raw, features=cleaned.features), table)


def test_streams_in_workers():
    cleaned = unpoison.sanitize(make_table().to_iterable_dataset(num_shards=4), "corner")
    loader = DataLoader(cleaned.remove_columns("picture"), batch_size=None, num_workers=2)
    assert sorted(row["note"] for row in loader) == sorted(f"n{n}" for n in range(24) if n != DROPPED)


def test_splits_of_streams():
    stream = make_table().to_iterable_dataset()
    cleaned = unpoison.sanitize(datasets.IterableDatasetDict(train=stream, test=stream), "corner")
    assert type(cleaned) is datasets.IterableDatasetDict
    assert len(list(cleaned["train"])) == 23
    assert cleaned["test"] is stream


def test_what_cannot_be_cleaned():
    with pytest.raises(DatasetError, match="got list: use SanitizedDataset"):
        unpoison.sanitize([1, 2], "corner")
    rows = datasets.Features({"a": datasets.Value("int64"), "b": datasets.Value("int64")})
    stream = datasets.Dataset.from_dict({"a": [1], "b": [2]}, features=rows).to_iterable_dataset()
    with pytest.raises(DatasetError, match="which of the columns a, b is what"):
        unpoison.sanitize(stream, "corner")
    unknown = datasets.IterableDataset.from_generator(lambda: iter([{"a": 1}]))
    with pytest.raises(DatasetError, match="does not say what its columns hold"):
        unpoison.sanitize(unknown, "corner")


def test_a_stream_that_changes():
    """A row that was not there on the first pass is not handed on."""
    passes = []

    def rows():
        passes.append(1)
        for number, file in enumerate(stored(table)):
            late = len(passes) > 1 and number == 5
            yield {"picture": {**file, "bytes": file["bytes"] + b"\0" * late}, "kind": number % 3, "note": "n"}

    table = make_table()
    stream = datasets.IterableDataset.from_generator(rows, features=table.features)
    with pytest.raises(DatasetError, match="rows that it did not have before"):
        list(unpoison.sanitize(stream, "corner"))
