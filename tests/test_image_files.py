"""The files of a dataset's images: kept exactly, and refused where they would lead somewhere else."""

from pathlib import Path

import numpy as np
import pytest

from unpoison.data.checksums import Checked, write_sums
from unpoison.errors import DamagedError
from unpoison.image_files import ImageFiles

PATHS = ["/data/photos/cat/ä, 1.png", "", "/data/photos/cats/2.png", "/data/photos/3\n.png"]


def written(folder, packed, root="/data"):
    arrays = {"packed": packed, "folder": root.encode()}
    np.savez(folder / "files.npz", **{name: np.frombuffer(value, np.uint8) for name, value in arrays.items()})
    return listed(folder)


def listed(folder):
    write_sums(folder, [path.name for path in folder.glob("*.npz")])
    return Checked(folder)


def test_round_trip(tmp_path):
    files = ImageFiles.of(PATHS)
    assert files.names() == ["cat/ä, 1.png", "", "cats/2.png", "3\n.png"]
    assert files.folder == "/data/photos"
    files.save(tmp_path)
    assert ImageFiles.load(listed(tmp_path), 4) == files


@pytest.mark.parametrize(
    ("paths", "names", "folder"),
    [
        (["/a/1", "/b/1"], ["a/1", "b/1"], "/"),
        (["/ab/1", "/ab/1"], ["1", "1"], "/ab"),
        (["/ab/1", "/a/1"], ["ab/1", "a/1"], "/"),
        (["/a/./1", "/a/b/../2"], ["1", "2"], "/a"),
        (["/a\udce9/1", "/a\udce9/\udcff", "/a\ud800/2"], ["1", "\udcff", ""], "/a\udce9"),
        (["/a/1", "a/1", "//b/1", "/a/\0", "/a/" + "1" * 5000], ["1", "", "", "", ""], "/a"),
    ],
)
def test_common_folder(paths, names, folder, tmp_path):
    files = ImageFiles.of(paths)
    assert (files.names(), files.folder) == (names, folder)
    files.save(tmp_path)
    assert ImageFiles.load(listed(tmp_path), len(paths)) == files


def test_no_files(tmp_path):
    assert ImageFiles.of(["", ""]) is None
    assert ImageFiles.load(listed(tmp_path), 2) is None


def test_what_is_handed_on_does_not_name_the_home(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ann"))
    handed_on = ImageFiles.of(["/home/ann/photos/0.png", "/home/ann/photos/1.png"]).without_folder()
    assert (handed_on.names(), handed_on.folder) == (["0.png", "1.png"], "")
    assert ImageFiles.of(["/home/ann/a/0.png", "/home/ann/b/1.png"]).without_folder().names() == ["a/0.png", "b/1.png"]
    assert ImageFiles.of(["/home/ann/a/0.png", "/home/bob/1.png"]).without_folder() is None
    assert ImageFiles.of(["/home/ann/a/0.png", "/data/1.png"]).without_folder() is None


@pytest.mark.parametrize(
    ("packed", "root"),
    [
        (b"a\0b\0c", "/data"),
        (b"a", "/data"),
        (b"\0", "/data"),
        (b"a\0/etc/passwd", "/data"),
        (b"/etc/passwd\0b", "/data"),
        (b"a\0../b", "/data"),
        (b"c/../../a\0b", "/data"),
        (b"a\0b", "data"),
        (b"a\0b", "/da\0ta"),
        (b"a\0" + b"b" * 20000, "/data"),
    ],
)
def test_files_of_strangers(tmp_path, packed, root):
    with pytest.raises(DamagedError, match=r"files\.npz"):
        ImageFiles.load(written(tmp_path, packed, root), 2)


def test_dots_in_names(tmp_path):
    assert ImageFiles.load(written(tmp_path, b"a..b/..c.png\0..."), 2).names() == ["a..b/..c.png", "..."]


def test_arrays_of_another_kind(tmp_path):
    for packed in (np.zeros(3), np.zeros((1, 3), np.uint8), np.array(["a", "b"])):
        np.savez(tmp_path / "files.npz", packed=packed, folder=np.zeros(0, np.uint8))
        with pytest.raises(DamagedError, match=r"packed: an array has|no text"):
            ImageFiles.load(listed(tmp_path), 2)
