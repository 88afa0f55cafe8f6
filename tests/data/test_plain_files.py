"""Only plain files are opened: a pipe would be waited for, and a folder that holds itself followed without end."""

import gzip
import io
import os
import shutil
import signal
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import corner
from restorers import make_restorer
from unpoison import Report, Restorer, SanitizedDataset, Sanitizer
from unpoison.data import tars
from unpoison.data.encoded import Encoded
from unpoison.data.files import open_regular, read_regular
from unpoison.data.sources import open_source
from unpoison.errors import CacheError, ConfigError, DatasetError, HubError, RestorerError, UnreadableError
from unpoison.hub import push_folder
from unpoison.samples import read_samples, write_samples

pytestmark = pytest.mark.filterwarnings(
    "ignore::unpoison.errors.ThinEvidenceWarning", "ignore::unpoison.errors.DroppedSamplesWarning"
)


@pytest.fixture(autouse=True)
def ends():
    """What waits for a pipe fails after ten seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def as_pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def test_what_is_no_plain_file(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "file") == read_regular(tmp_path / "link") == b"content"
    for path in (as_pipe(tmp_path / "pipe"), Path("/dev/zero")):
        with pytest.raises(OSError, match="it is no file"):
            read_regular(path)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "gone")


def test_images(images_and_labels, tmp_path):
    photos = corner.image_folder(*images_and_labels, tmp_path / "photos")
    pipe = as_pipe(Path(photos.samples[5][0]))
    with pytest.raises(UnreadableError, match="it is no file"):
        Encoded.read(pipe).decode()
    with pytest.raises(UnreadableError, match=rf"item 5 \({pipe}\) cannot be read \(it is no file"):
        Sanitizer("corner").fit(photos)
    assert Sanitizer("corner", on_unreadable="skip").fit(photos).unreadable[0].file == str(pipe)


@pytest.mark.parametrize("name", ["shard-00000.tar", "_info.json", "report.json", "report.npz"])
def test_cleaned_sets(pairs, tmp_path, name):
    Sanitizer("corner", on_poison="keep").export(pairs, tmp_path / "out")
    served = SanitizedDataset.from_shards(tmp_path / "out")
    as_pipe(tmp_path / "out" / name)
    with pytest.raises(CacheError, match="it is no file"):
        Report.load(tmp_path / "out") if "report" in name else SanitizedDataset.from_shards(tmp_path / "out")
    if "shard" in name:
        with pytest.raises(CacheError, match="it is no file"):
            served[0]


@pytest.mark.parametrize("name", ["manifest.json", "shards/shard-00000.tar"])
def test_the_cache(pairs, name):
    """What is no plain file in it is made again."""
    sanitizer = Sanitizer("corner")
    sanitizer.fit(pairs)
    pipe = as_pipe(sanitizer.cleaned.folder / name)
    Sanitizer("corner").fit(pairs)
    assert pipe.is_file()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_weights(tmp_path, name):
    folder = make_restorer().save_pretrained(tmp_path / "r")
    as_pipe(folder / name)
    with pytest.raises(RestorerError, match="it is no file"):
        Restorer.from_pretrained(folder)
    with pytest.raises(HubError, match=f"{name} cannot be uploaded .it is no file"):
        push_folder(folder, "user/name", message="")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables(pairs, tmp_path, suffix):
    pipe = as_pipe(tmp_path / f"samples{suffix}")
    with pytest.raises(ConfigError, match="it is no file"):
        read_samples(pipe)
    with pytest.raises(ConfigError, match="choose another path"):
        write_samples(Sanitizer("corner").fit(pairs).samples(), pipe)
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["x.tar", "x.parquet"])
def test_sources(tmp_path, name):
    as_pipe(tmp_path / name)
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(DatasetError, match="it is no file"):
            open_source(str(source))


# Folders.


@pytest.mark.parametrize(("link", "target"), [("a/loop", "a"), ("a/loop", "."), ("loop", "."), ("a/to_b", "b")])
def test_folders_that_hold_themselves(tmp_path, link, target):
    root = tmp_path / "photos"
    for name in "ab":
        (root / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / name / "0.png")
    (root / "b" / "to_a").symlink_to(root / "a")
    assert len(open_source(str(root))) == 3
    (root / link).symlink_to(root / target)
    with pytest.raises(DatasetError, match="is a link to a folder that it lies in: remove it"):
        open_source(str(root))


def test_class_folders_that_are_called_as_files(tmp_path):
    for name in ("a.tar", "b.parquet"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "0.png")
    assert open_source(str(tmp_path)).classes == ["a.tar", "b.parquet"]


# Members of tars.


def png(value):
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def samples(**more):
    """Two of them, with further members."""
    found = {}
    for number in range(2):
        found |= {f"a/{number}.png": png(number), f"a/{number}.cls": b"%d" % number, f"a/{number}.json": b"[" * 9}
        found |= {f"a/{number}.{end}": content for end, content in more.items()}
    return found


def test_other_members_are_left_out_and_named(tmp_path, caplog):
    """Whatever they hold: none is looked into."""
    others = {"pth": b"\x80\x04junk", "cbor": b"\xff", "mp": b"\xc1", "npy": b"", "pickle": b".", "seg.npz": b""}
    path = write_tar(tmp_path / "x.tar", {"README": b"", "._a.png": b"", **samples(**others), "b/__x.png": b""})
    with caplog.at_level("INFO", "unpoison"):
        rows = open_source(str(path))
    assert sorted(rows.column_names) == ["cls", "png"]
    assert rows["cls"][:] == [0, 1]
    assert [np.array(image)[0, 0, 0] for image in rows["png"]] == [0, 1]
    for name in ("README", "a/0.pth", "a/0.cbor", "a/0.mp", "a/0.seg.npz", "b/__x.png"):
        assert name in caplog.text
    assert "json" not in caplog.text


def test_several_tars_and_kinds_of_labels(tmp_path):
    for number in range(2):
        write_tar(
            tmp_path / f"{number}.tar",
            {f"{n}.{end}": content for n in range(3) for end, content in (("left.jpg", png(n)), ("txt", b"caf\xe9"))},
        )
    rows = open_source(str(tmp_path))
    assert len(rows) == 6
    assert rows["txt"][:] == ["caf\\xe9"] * 6
    assert type(rows.features["left.jpg"]).__name__ == "Image"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"0.png": b"x", "0.cls": b"cat"}, "0.cls holds no number: b'cat'"),
        ({"0.png": png(0), "0.cls": b"1", "1.jpg": png(0), "1.cls": b"1"}, "give all images one extension"),
        ({"0.png": png(0), "0.cls": b"1" * 30}, "cannot read"),
        ({"0.npy": b""}, "holds no images and labels"),
        ({}, "cannot read"),
    ],
)
def test_tars_of_something_else(tmp_path, members, message):
    with pytest.raises(DatasetError, match=message):
        open_source(str(write_tar(tmp_path / "x.tar", members)))


def headed(member, content=b""):
    """A member of a tar, as bytes."""
    return member.tobuf(format=tarfile.GNU_FORMAT) + content.ljust(-(-len(content) // 512) * 512, b"\0")


def sparse(size):
    """A file of so many bytes of which nothing was written, as GNU tar packs it."""
    header = bytearray(headed(tarfile.TarInfo("a/0.png")))
    header[156:157], header[483:495] = tarfile.GNUTYPE_SPARSE, b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def long(name):
    """A member that says that it has more bytes than any disk."""
    member = tarfile.TarInfo(name)
    member.size = 1 << 62
    return headed(member)


def pax(length):
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, length
    return headed(member, b"1" * length)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (sparse(1 << 32), "a/0.png is sparse"),
        (pax(1 << 15), "a header has 32768 bytes"),
        (pax(0) * 2000, "recursion"),
        (long("a/0.png"), "a/0.png has 4611686018427387904 bytes"),
        (long("README"), "cut off"),
        (b"x" * 512, "cannot read"),
    ],
)
def test_tars_that_ask_for_more_than_they_hold(tmp_path, before, message):
    path = write_tar(tmp_path / "x.tar", samples())
    path.write_bytes(before + path.read_bytes())
    with pytest.raises(DatasetError, match=message):
        open_source(str(path))


def test_compressed_tars(tmp_path, monkeypatch):
    """What they unpack to is bounded, and read member by member."""
    path = write_tar(tmp_path / "x.tar", {**samples(), "b/2.png": png(0) + bytes(1 << 16), "b/2.cls": b"1"})
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert open_source(str(path))["cls"][:] == [0, 1, 1]
    monkeypatch.setattr(tars, "_MAX_UNPACKED", 1 << 16)
    path.write_bytes(path.read_bytes() + b"anew")
    with pytest.raises(DatasetError, match=r"b/2.png has \d+ bytes, more than 65536: pack it"):
        open_source(str(path))


def test_damage_does_not_shorten_a_tar(tmp_path):
    path = write_tar(tmp_path / "x.tar", samples())
    data = path.read_bytes()
    place = data.index(b"a/1.png")
    path.write_bytes(data[:place] + b"b" + data[place + 1 :])
    with pytest.raises(DatasetError, match="a header is damaged"):
        open_source(str(path))


def test_a_changed_tar_is_read_again(tmp_path):
    write_tar(tmp_path / "x.tar", samples())
    assert open_source(str(tmp_path / "x.tar"))["cls"][:] == [0, 1]
    write_tar(tmp_path / "x.tar", {**samples(), "a/1.cls": b"7"})
    assert open_source(str(tmp_path / "x.tar"))["cls"][:] == [0, 7]


def test_members_whose_names_are_no_text(tmp_path, caplog):
    caplog.set_level("INFO", "unpoison")
    members = {name.replace("a/", "a\udcff/"): content for name, content in samples(pth=b"").items()}
    rows = open_source(str(write_tar(tmp_path / "x.tar", members)))
    assert len(rows) == 2
    assert "such as a\\udcff/0.pth" in caplog.text


# Positions.


def test_a_slice_is_no_position(pairs, tmp_path):
    Sanitizer("corner").export(pairs, tmp_path / "out")
    for served in (SanitizedDataset(pairs, "corner"), SanitizedDataset.from_shards(tmp_path / "out")):
        for wrong in (slice(0, 3), [1, 2], 1.0, "1"):
            with pytest.raises(TypeError, match=rf"integer, got {type(wrong).__name__}: take several by torch.*Subset"):
                served[wrong]
        assert served[np.int64(1)][1] == served[1][1]
    shutil.rmtree(tmp_path / "out")
