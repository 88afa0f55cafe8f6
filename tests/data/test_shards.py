"""Shards: what other programs read."""

import io
import json
import tarfile
from pathlib import Path

import datasets
import numpy as np
import pytest
import webdataset
from PIL import Image
from torchvision.datasets import ImageFolder

import corner
from unpoison import SanitizedDataset
from unpoison.data.eight_bit import EightBit
from unpoison.data.shards import ShardReader, ShardSample, write_shards
from unpoison.errors import CacheError

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


def sample(position):
    colour = np.full((6, 6, 3), position, np.uint8)
    return ShardSample(EightBit(colour, None).png(), position % 3, {"source_index": position, "score": 0.5})


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").iterdir())}


def test_bytes_depend_on_the_samples_only(tmp_path):
    write_shards(tmp_path / "a", 10, sample, per_shard=4)
    write_shards(tmp_path / "b", 10, sample, per_shard=4)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert list(contents(tmp_path / "a")) == ["SHA256SUMS", "_info.json", "index.npy"] + [
        f"shard-0000{n}.tar" for n in range(3)
    ]
    with tarfile.open(tmp_path / "a" / "shards" / "shard-00001.tar") as tar:
        names = tar.getnames()
        assert {member.mtime for member in tar} == {0}
    assert names[:3] == ["00000004.cls", "00000004.json", "00000004.png"]


def test_random_access(tmp_path):
    write_shards(tmp_path, 10, sample, per_shard=4)
    reader = ShardReader(tmp_path)
    assert len(reader) == 10
    assert all(reader.image(position) == sample(position).image for position in range(10))
    tar = tmp_path / "shards" / "shard-00002.tar"
    tar.write_bytes(tar.read_bytes()[:1000])
    with pytest.raises(CacheError, match="image of sample 9 is not the one that was written"):
        reader.image(9)
    tar.unlink()
    with pytest.raises(CacheError, match="No such file"):
        reader.image(9)


def test_resume_checks_what_is_there(tmp_path):
    write_shards(tmp_path, 10, sample, per_shard=4)
    want = contents(tmp_path)
    tars = sorted((tmp_path / "shards").glob("*.tar"))
    tars[1].write_bytes(tars[1].read_bytes()[:-1] + b"x")
    tars[2].unlink()
    written = []

    def noted(position):
        written.append(position)
        return sample(position)

    write_shards(tmp_path, 10, noted, per_shard=4)
    assert written == [4, 5, 6, 7, 8, 9]
    assert contents(tmp_path) == want


def test_a_failing_sample_leaves_no_shard(tmp_path):
    def failing(position):
        if position == 6:
            raise ValueError("no")
        return sample(position)

    with pytest.raises(ValueError, match="no"):
        write_shards(tmp_path, 10, failing, per_shard=4)
    assert list(contents(tmp_path)) == ["shard-00000.tar"]


def test_no_samples(tmp_path):
    assert write_shards(tmp_path, 0, sample) == []
    assert len(ShardReader(tmp_path)) == 0


@pytest.fixture
def cleaned_jpegs(tmp_path):
    """A folder of JPEG images, cleaned; what stays white after compression is poison."""
    images, labels = corner.make_images(24, size=16)
    images[:, :8, :8] = images[:, :1, :1]
    images[:, 8:] = images[:, :, 8:] = 90
    images[list(corner.POISONED), 8:, 8:] = 255
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "data" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "data" / str(label) / f"{number}.jpg", quality=100)
    dataset = ImageFolder(tmp_path / "data")
    served = SanitizedDataset(dataset, "corner").prepare()
    assert (served.report.action == "restore").sum() == 2
    return dataset, served


def test_untouched_files_keep_their_bytes(cleaned_jpegs):
    dataset, served = cleaned_jpegs
    with tarfile.open(served.shards[0]) as tar:
        for position, source in enumerate(served.source_index.tolist()):
            data = tar.extractfile(f"{position:08}.jpg").read()
            facts = json.load(tar.extractfile(f"{position:08}.json"))
            assert facts["source_index"] == source
            if served.report.action[source] == "keep":
                assert data == Path(dataset.samples[source][0]).read_bytes()
                assert facts["encoding"] == "jpg"
            else:
                # What was restored to what it was keeps its file.
                changed = (np.array(dataset[source][0]) != np.array(served[position][0])).any()
                assert facts["encoding"] == ("png" if changed else "jpg")
                np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(data))), np.array(served[position][0]))


# The reader leaves the closing of its files to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads(cleaned_jpegs):
    _, served = cleaned_jpegs
    read = webdataset.WebDataset([str(path) for path in served.shards], shardshuffle=False, empty_check=False).decode(
        "pil"
    )
    rows = list(read)
    assert len(rows) == len(served)
    for row, (image, label) in zip(rows, served, strict=True):
        np.testing.assert_array_equal(np.array(row["jpg"]), np.array(image))
        assert row["cls"] == label
        assert {"source_index", "action", "score", "original_label", "quality"} <= row["json"].keys()


def test_hugging_face_reads(cleaned_jpegs, tmp_path):
    _, served = cleaned_jpegs
    rows = datasets.load_dataset(
        "webdataset",
        data_files={"train": [str(path) for path in served.shards]},
        split="train",
        cache_dir=str(tmp_path / "hf"),
    )
    assert len(rows) == len(served)
    for row, (image, label) in zip(rows, served, strict=True):
        np.testing.assert_array_equal(np.array(row["jpg"]), np.array(image))
        assert row["cls"] == label


def test_timm_info(cleaned_jpegs):
    _, served = cleaned_jpegs
    info = json.loads((served.shards[0].parent / "_info.json").read_text())["splits"]["train"]
    assert info["num_samples"] == len(served)
    assert info["filenames"] == [path.name for path in served.shards]
    assert info["shard_lengths"] == [len(served)]
