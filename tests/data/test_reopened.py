"""Cleaned shards without the original: reopened, through the Hub, in other libraries, and when they are hostile."""

import gc
import io
import json
import pickle
import shutil
import struct
import tarfile
import zlib
from pathlib import Path

import datasets
import numpy as np
import pytest
import webdataset
from huggingface_hub import hf_hub_download
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import corner
from hub_server import Fault
from unpoison import SanitizedDataset, Sanitizer
from unpoison.data.checksums import SUMS, write_sums
from unpoison.data.items import same_parts
from unpoison.data.shards import ROW, index_of
from unpoison.errors import CacheError, DatasetError, HubError, UnpoisonError
from unpoison.hub import push_folder

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::unpoison.errors.ThinEvidenceWarning",
        "ignore:Use 'content=:DeprecationWarning",  # by the Hub's client, of its HTTP library
    ),
    # The readers leave the closing of their files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def dirty(images_and_labels, tmp_path):
    dataset = corner.image_folder(*images_and_labels, tmp_path / "data")
    dataset.transform = dataset.target_transform = None
    return type(dataset)(tmp_path / "data")


@pytest.fixture
def served(dirty):
    return SanitizedDataset(dirty, "corner").prepare()


@pytest.fixture
def folder(served, dirty, tmp_path):
    Sanitizer("corner").export(dirty, tmp_path / "cleaned")
    return tmp_path / "cleaned"


def test_the_same_samples(folder, served):
    again = SanitizedDataset.from_shards(folder)
    assert isinstance(again, SanitizedDataset)
    assert len(again) == len(served) == 23
    assert all(same_parts(a, b) for a, b in zip(again, served, strict=True))
    assert again.targets == served.targets
    assert again.classes == served.classes == ["class0", "class1", "class2"]
    assert again.class_to_idx == served.class_to_idx
    np.testing.assert_array_equal(again.source_index, served.source_index)
    np.testing.assert_array_equal(again.report.action, served.report.action)
    assert [path.read_bytes() for path in again.shards] == [path.read_bytes() for path in served.shards]
    assert again.prepare() is again


def test_from_the_cache_itself(served):
    again = SanitizedDataset.from_shards(served.shards[0].parent)
    assert same_parts(again[-1], served[-1])
    np.testing.assert_array_equal(again.report.score, served.report.score)


def test_transforms_workers_and_pickles(folder, served):
    again = SanitizedDataset.from_shards(folder, transform=v2.PILToTensor(), target_transform=lambda y: y + 1)
    assert again[0][0].shape == (3, 8, 8)
    assert again[0][1] == served[0][1] + 1
    again = SanitizedDataset.from_shards(folder, transform=v2.PILToTensor())
    assert same_parts(pickle.loads(pickle.dumps(again))[3], again[3])
    batches = list(DataLoader(again, batch_size=23, num_workers=1))
    assert batches[0][1].tolist() == served.targets
    assert len(SanitizedDataset(SanitizedDataset.from_shards(folder), "corner", on_poison="keep")) == 23


def test_string_labels_and_modes(tmp_path, images_and_labels):
    images, labels = images_and_labels
    pairs = [(Image.fromarray(i[..., 0]), "cab"[y]) for i, y in zip(images, labels, strict=True)]
    Sanitizer("corner", on_poison="keep").export(pairs, tmp_path / "out")
    again = SanitizedDataset.from_shards(tmp_path / "out")
    assert all(same_parts(a, b) for a, b in zip(again, pairs, strict=True))
    assert again.classes == ["a", "b", "c"]


def test_through_the_hub(hub, folder, served, tmp_path):
    shutil.rmtree(folder / "restorer", ignore_errors=True)
    push_folder(folder, "user/clean", "dataset", message="Add a cleaned set")
    again = SanitizedDataset.from_shards("user/clean")
    assert all(same_parts(a, b) for a, b in zip(again, served, strict=True))
    np.testing.assert_array_equal(again.report.action, served.report.action)
    np.testing.assert_array_equal(again.report.pictures.after, served.report.pictures.after)
    assert again.report.files == served.report.files.without_folder()
    page = hf_hub_download("user/clean", "report.html", repo_type="dataset")
    assert Path(page).read_bytes() == (folder / "report.html").read_bytes()
    with hub.down():
        assert len(SanitizedDataset.from_shards("user/clean")) == 23
    rows = datasets.load_dataset("user/clean", split="train", cache_dir=str(tmp_path / "hf"))
    assert rows["cls"][:] == served.targets
    assert all(same_parts(np.array(row["png"]), np.array(item[0])) for row, item in zip(rows, served, strict=True))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"status": 429}, "too many requests: wait"),
        ({"status": 500}, "error 500: try again later"),
        ({"status": 401}, "private|denied"),
        ({"cut": True}, "cannot be reached"),
    ],
)
def test_refusals(hub, folder, fault, message):
    push_folder(folder, "user/clean", "dataset", message="Add a cleaned set")
    hub.faults.append(Fault("/api/datasets", **fault))
    with pytest.raises(HubError, match=message):
        SanitizedDataset.from_shards("user/clean")
    hub.faults[:] = [Fault("shard-00000.tar", change=lambda data: data[:600] + b"x" + data[601:])]
    with pytest.raises(HubError, match="damaged"):
        SanitizedDataset.from_shards("user/clean")
    hub.faults.clear()
    assert len(SanitizedDataset.from_shards("user/clean")) == 23


def test_other_things_on_the_hub(hub):
    hub.add("user/table", {"train.parquet": b"PAR1"}, "datasets")
    with pytest.raises(HubError, match=r"has no file _info.json"):
        SanitizedDataset.from_shards("user/table")
    with pytest.raises(HubError, match="no such dataset, or it is private"):
        SanitizedDataset.from_shards("user/gone")


def test_webdataset_reads(folder, served):
    paths = [str(path) for path in sorted(folder.glob("shard-*.tar"))]
    rows = list(
        webdataset.WebDataset(paths, shardshuffle=False, empty_check=False).decode("pil").to_tuple("png", "cls")
    )
    assert len(rows) == 23
    for (image, label), item in zip(rows, served, strict=True):
        np.testing.assert_array_equal(np.array(image), np.array(item[0]))
        assert label == item[1]


def test_timm_reads(folder, served):
    timm_data = pytest.importorskip("timm.data")
    dataset = timm_data.create_dataset("wds/", root=str(folder), split="train", is_training=False, batch_size=4)
    rows = list(dataset)
    del dataset
    gc.collect()  # here, where the files that it left open are let pass
    assert len(rows) == 23
    for (image, label), item in zip(rows, served, strict=True):
        np.testing.assert_array_equal(np.array(image), np.array(item[0]))
        assert label == item[1]


# Sets from strangers.


def write_tar(path, members, **header):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in header.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "png")
    return buffer.getvalue()


def claiming(width, height):
    """A small PNG whose header says that it is larger."""
    content = bytearray(png())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


GOOD = {"00000000.cls": b"1", "00000000.json": b'{"source_index": 0}', "00000000.png": png()}


def hostile(folder, members, info=None, about=None, **header):
    folder.mkdir()
    write_tar(folder / "shard-00000.tar", members, **header)
    split = {"num_samples": 1, "filenames": ["shard-00000.tar"], **(info or {})}
    (folder / "_info.json").write_text(json.dumps({"splits": {"train": split}, "unpoison": about}))
    return list_files(folder)


def list_files(folder):
    """Makes the index and the checksums fit what there is."""
    try:
        index = index_of(folder / "shard-00000.tar", 0)
    except (ValueError, KeyError, AttributeError, OSError):
        index = np.zeros(1, ROW)
    np.save(folder / "index.npy", index)
    write_sums(folder, [path.name for path in folder.iterdir() if path.name != SUMS])
    return folder


def test_a_good_set_as_a_measure_of_the_hostile_ones(tmp_path):
    again = SanitizedDataset.from_shards(hostile(tmp_path / "x", GOOD))
    assert again[0][1] == 1
    with pytest.raises(AttributeError, match="did not name"):
        _ = again.classes
    with pytest.raises(CacheError, match=r"report\.json is missing"):
        _ = again.report


class Trap:
    def __reduce__(self):
        return Path("/tmp/unpoison-trap").touch, ()


@pytest.mark.parametrize(
    ("members", "options"),
    [
        ({**GOOD, "../../evil.png": b"x"}, {}),
        ({**GOOD, "/etc/evil.png": b"x"}, {}),
        ({"00000000.cls": b"1", "00000000.json": GOOD["00000000.json"], "00000000.pyd": pickle.dumps(Trap())}, {}),
        ({"00000000.png": b"", **GOOD}, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ({**GOOD, "00000001.png": b""}, {"pax_headers": {"comment": "x" * 5000}}),
        ({**GOOD, "00000000.jpg": png()}, {}),
        ({key: value for key, value in GOOD.items() if "cls" not in key}, {}),
        ({**GOOD, "00000000.cls": b"-1"}, {}),
        ({**GOOD, "00000000.cls": b"9" * 30}, {}),
        ({**GOOD, "00000000.json": b'{"source_index": %d}' % 2**70}, {}),
        ({**GOOD, "00000000.json": b'{"source_index": 0, "mode": "PA;tricky"}'}, {}),
        ({**GOOD, "00000000.json": b'{"source_index": 0, "mode": []}'}, {}),
        ({**GOOD, "00000000.cls": b"x" * 70000}, {}),
        ({**GOOD, "00000000.json": b"[" * 60000}, {}),
        ({**GOOD, "00000000.json": b'{"source_index": "0"}'}, {}),
        (GOOD, {"info": {"num_samples": 2}}),
        (GOOD, {"info": {"num_samples": "1"}}),
        (GOOD, {"info": {"filenames": ["../../etc/passwd"]}}),
        (GOOD, {"info": {"filenames": ["pipe:touch /tmp/unpoison-trap"]}}),
        (GOOD, {"info": {"filenames": ["shard-00001.tar"]}}),
        (GOOD, {"about": {"names": "ab"}}),
        (GOOD, {"about": {"names": [1, 2]}}),
        (GOOD, {"about": {"names": ["a"], "text_labels": True}}),
    ],
)
def test_hostile_sets_are_refused(tmp_path, members, options):
    with pytest.raises(UnpoisonError):
        list(SanitizedDataset.from_shards(hostile(tmp_path / "x", members, **options)))
    assert not Path("/tmp/unpoison-trap").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["x"]


def test_hostile_sizes(tmp_path):
    folder = hostile(tmp_path / "x", GOOD)
    path = folder / "shard-00000.tar"
    header = tarfile.TarInfo("00000001.png")
    header.size = 1 << 60
    path.write_bytes(path.read_bytes().rstrip(b"\0") + bytes(-len(path.read_bytes().rstrip(b"\0")) % 512))
    with path.open("ab") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    list_files(folder)
    with pytest.raises(CacheError, match="bytes, which cannot be"):
        SanitizedDataset.from_shards(folder)


@pytest.mark.parametrize(
    "image",
    [
        claiming(12000, 12000), claiming(40000, 40000), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"",
        b"nothing",
    ],
)  # fmt: skip
def test_hostile_images(tmp_path, image):
    again = SanitizedDataset.from_shards(hostile(tmp_path / "x", {**GOOD, "00000000.png": image}))
    with pytest.raises(DatasetError, match=r"item 0 cannot be read .*: repair or remove it"):
        again[0]


def test_a_folder_of_something_else(tmp_path, folder):
    with pytest.raises(CacheError, match=r"_info.json is missing"):
        SanitizedDataset.from_shards(tmp_path)
    with pytest.raises(CacheError, match="leave revision out"):
        SanitizedDataset.from_shards(folder, revision="main")
    path = folder / "shard-00000.tar"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CacheError, match=r"is not image|cannot be|do not hold"):
        SanitizedDataset.from_shards(folder)
    path.unlink()
    with pytest.raises(CacheError, match="cannot be read"):
        SanitizedDataset.from_shards(folder)
