"""Where results are written: never into what is read, never over what others wrote, and in one step."""

import os
import shutil
from pathlib import Path

import pytest
from torch.utils.data import ConcatDataset, Subset

import corner
from restorers import make_restorer
from unpoison import SanitizedDataset, Sanitizer
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.attacks.folder import write_poisoned
from unpoison.cli import main
from unpoison.data import outputs
from unpoison.data.files import flush_all
from unpoison.data.outputs import RECORD, check_apart, check_replaceable, lies_in, replacing_folder
from unpoison.errors import ConfigError, RestorerError
from unpoison.samples import write_samples

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


@pytest.fixture
def photos(images_and_labels, tmp_path):
    return corner.image_folder(*images_and_labels, tmp_path / "photos")


def tree(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "name", ["photos", "photos/out", "link", "link/out", "photos/../photos/class0", "./photos/a/b"]
)
def test_a_place_in_another_one(tmp_path, monkeypatch, name):
    (tmp_path / "photos" / "class0").mkdir(parents=True)
    (tmp_path / "link").symlink_to("photos")
    monkeypatch.chdir(tmp_path)
    for place in (Path(name), tmp_path / name):
        assert lies_in(place, Path("photos"))
        assert lies_in(place, tmp_path / "photos")
        with pytest.raises(ConfigError, match="lies in"):
            check_apart(place, tmp_path / "photos")


def test_places_beside_each_other(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "inner").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "photos")
    for place in ("../photos2", "../out/photos", "inner", tmp_path / "gone" / ".." / "out"):
        check_apart(Path(place), tmp_path / "photos")


def test_a_name_in_other_letters_where_the_file_system_takes_them_for_the_same(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: real(str(path).replace("PHOTOS", "photos"), **options))
    assert lies_in(tmp_path / "PHOTOS" / "out", tmp_path / "photos")
    assert not lies_in(tmp_path / "PHOTO" / "out", tmp_path / "photos")


@pytest.mark.parametrize("out", [".", "out", "class0", "class0/out", ".."])
@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: Subset(d, range(9)), lambda d: ConcatDataset([[], d])])
def test_nothing_is_written_into_what_is_read(photos, cache, out, wrap):
    before = tree(Path(photos.root))
    with pytest.raises(ConfigError, match="lies in"):
        Sanitizer("corner").export(wrap(photos), Path(photos.root) / out)
    assert tree(Path(photos.root)) == before
    assert not cache.exists()


def test_a_hugging_face_table_of_files(photos, tmp_path, cache):
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    paths, labels = zip(*photos.samples, strict=True)
    table = datasets.Dataset.from_dict({"image": list(paths), "label": list(labels)}, features=features)
    with pytest.raises(ConfigError, match="lies in"):
        Sanitizer("corner").export(table, Path(photos.root) / "out")


def test_a_poisoned_copy_is_not_written_into_what_is_read(photos):
    data = PoisonedDataset(photos, BadNets(size=2), rate=0.1)
    with pytest.raises(ConfigError, match="lies in"):
        write_poisoned(data, Path(photos.root) / "out", {})


def test_many_files_are_brought_to_the_disk_at_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("unpoison.data.files.sys.platform", "linux")
    monkeypatch.setattr("os.sync", lambda: calls.append("sync"))
    monkeypatch.setattr("os.fsync", lambda file: calls.append("fsync"))
    for name in ("a", "b"):
        (tmp_path / name).touch()
    flush_all(tmp_path)
    monkeypatch.setattr("unpoison.data.files.MANY", 2)
    flush_all(tmp_path)
    assert calls == ["fsync", "fsync", "fsync", "sync"]


def test_the_cache_does_not_lie_in_what_is_read(photos, tmp_path):
    before = tree(Path(photos.root))
    for cache in (Path(photos.root), Path(photos.root) / "class0" / "cache"):
        for clean in (
            lambda cache=cache: Sanitizer("corner", cache_dir=cache).fit(photos),
            lambda cache=cache: SanitizedDataset(photos, "corner", cache_dir=cache).prepare(),
        ):
            with pytest.raises(ConfigError, match=r"the cache folder .* set cache_dir= or UNPOISON_CACHE"):
                clean()
    assert tree(Path(photos.root)) == before


def test_the_cache_and_the_result_lie_apart(pairs, tmp_path):
    for cache, out in (("a", "a"), ("a/cache", "a"), ("a", "a/out")):
        with pytest.raises(ConfigError, match="where results are kept"):
            Sanitizer("corner", cache_dir=tmp_path / cache).export(pairs, tmp_path / out)
    assert list(tmp_path.iterdir()) == []


def test_a_set_is_not_replaced_by_what_is_made_of_it(pairs, tmp_path):
    Sanitizer("corner", on_poison="keep").export(pairs, tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(ConfigError, match="lies in"):
        Sanitizer("corner").export(SanitizedDataset.from_shards(tmp_path / "out"), tmp_path / "out")
    (tmp_path / "out" / "restorer").mkdir()
    with pytest.raises(ConfigError, match=r"restorer, which is read, lies in"):
        Sanitizer("corner", restorer=tmp_path / "out" / "restorer").export(pairs, tmp_path / "out")
    assert tree(tmp_path / "out") == before


# What is there already.


def fails(pairs, folder, message, monkeypatch):
    """Refused before anything is read, and nothing is changed."""
    before = tree(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Sanitizer, "fit", lambda *_: pytest.fail("the work was done"))
        with pytest.raises(ConfigError, match=message):
            Sanitizer("corner").export(pairs, folder)
    assert tree(folder) == before


@pytest.mark.parametrize("name", ["README.md", "report.json", "shard-00001.tar", "notes/today.txt", RECORD])
def test_what_others_wrote_stays(pairs, tmp_path, name, monkeypatch):
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")
    fails(pairs, tmp_path / "out", f"holds {Path(name).parts[0]}, which was not written there", monkeypatch)
    shutil.rmtree(tmp_path / "out")
    Sanitizer("corner").export(pairs, tmp_path / "out")
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    fails(pairs, tmp_path / "out", "or was changed since", monkeypatch)


def test_no_folder(pairs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    for name in ("file", "file/out"):
        fails(pairs, tmp_path / name, "file is a file.*choose another folder", monkeypatch)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    fails(pairs, tmp_path / "new" / "out", "may not be changed", monkeypatch)


def test_a_mount_point(pairs, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path / "out")
    fails(pairs, tmp_path / "out", "choose a folder in it", monkeypatch)


def test_where_we_are(pairs, tmp_path, monkeypatch):
    (tmp_path / "out" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out" / "inner")
    for name in (".", "..", tmp_path / "out"):
        fails(pairs, Path(name), "work goes on in it", monkeypatch)


def test_what_was_written_before_goes(pairs, tmp_path):
    """Also through a link, and after `unpoison report` made the page anew."""
    (tmp_path / "real").mkdir(mode=0o750)
    (tmp_path / "out").symlink_to("real")
    with replacing_folder(tmp_path / "out") as new:
        (new / "restorer").mkdir()
        for name in ("shard-00001.tar", "restorer/config.json", "report.html"):
            (new / name).write_text("<title>unpoison report</title>")
    (tmp_path / "real" / "report.html").write_text("<title>unpoison report</title> another one")
    Sanitizer("corner").export(pairs, tmp_path / "out")
    assert not {"shard-00001.tar", "restorer"} & {path.name for path in (tmp_path / "real").iterdir()}
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o750
    check_replaceable(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out", "real"]


@pytest.mark.parametrize("step", ["copyfile", "dumps", "exchange", "rename 1", "rename 2"])
def test_an_interrupted_change_leaves_the_old_set(pairs, tmp_path, monkeypatch, step):
    Sanitizer("corner").export(pairs, tmp_path / "out")
    before, renames = tree(tmp_path / "out"), []

    def rename(path, target, real=Path.rename):
        renames.append(path)
        if step == f"rename {len(renames)}":
            raise KeyboardInterrupt
        return real(path, target)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    sanitizer = Sanitizer("corner", on_poison="drop")
    sanitizer.fit(pairs)
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(outputs, "exchange", interrupt if step == "exchange" else lambda *_: False)
    if step == "copyfile":
        monkeypatch.setattr(shutil, "copyfile", interrupt)
    if step == "dumps":
        monkeypatch.setattr(outputs.json, "dumps", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sanitizer.export(pairs, tmp_path / "out")
    monkeypatch.undo()
    assert tree(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out"]


@pytest.mark.parametrize("name", ["report.json", "report.npz", "config.json", "model.safetensors"])
def test_what_is_saved_by_hand_replaces_nothing_else(pairs, tmp_path, name):
    thing = Sanitizer("corner").fit(pairs) if "report" in name else make_restorer()
    save, error = (thing.save, ConfigError) if "report" in name else (thing.save_pretrained, RestorerError)
    for _ in range(2):
        save(tmp_path / "own")
    for content in (b'{"model_type": "bert"}', b"[]", b"\xff"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(content)
        with pytest.raises(error, match="choose another folder"):
            save(tmp_path / "mine")
        assert tree(tmp_path / "mine") == {str(tmp_path / "mine" / name): content}


# The commands.


@pytest.mark.parametrize("command", [["clean"], ["attack", "--attack", "badnets"]])
@pytest.mark.parametrize(("source", "out"), [("t", "t"), ("t/x.tar", "t"), ("t/x.tar", "t/x.tar"), ("t", "t/out")])
def test_commands_do_not_write_into_what_they_read(tmp_path, capsys, command, source, out):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "x.tar").write_bytes(b"never read")
    before = tree(tmp_path)
    name, *options = command
    assert main([name, str(tmp_path / source), str(tmp_path / out), *options]) == 2
    assert "which is read" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_clean_keeps_the_cache_out_of_what_it_reads(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("UNPOISON_CACHE", str(tmp_path / "t" / "cache"))
    (tmp_path / "t").mkdir()
    assert main(["clean", str(tmp_path / "t"), str(tmp_path / "out")]) == 2
    assert "set cache_dir= or UNPOISON_CACHE" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["clean", "gone"], ["pull", "user/gone"], ["demo", "--out"]])
def test_commands_look_at_the_place_first(tmp_path, capsys, arguments):
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("mine")
    assert main([*arguments, str(out)]) == 2
    assert "out holds README.md" in capsys.readouterr().err
    assert main([*arguments, str(out / "README.md")]) == 2
    assert "README.md is a file" in capsys.readouterr().err
    assert tree(out) == {str(out / "README.md"): b"mine"}


def test_bench_looks_at_the_place_first(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["bench", "core", "--out", str(tmp_path / "file" / "out")]) == 2
    assert "file is a file" in capsys.readouterr().err


def test_a_report_replaces_no_other_file(pairs, tmp_path, capsys):
    import pyarrow as pa

    report = Sanitizer("corner").export(pairs, tmp_path / "out")
    mine = tmp_path / "mine.html"
    mine.touch()
    (tmp_path / "empty.csv").touch()
    arguments = ["--out", str(mine), "--samples", str(tmp_path / "empty.csv")]
    assert main(["report", str(tmp_path / "out"), *arguments]) == 0
    mine.write_text("mine")
    assert main(["report", str(tmp_path / "out"), "--out", str(mine), "--samples", str(tmp_path / "new.csv")]) == 2
    assert "is no report of unpoison" in capsys.readouterr().err
    for name in ("reviewed.csv", "reviewed.parquet"):
        write_samples(report.samples().append_column("keep", pa.array([True] * 24)), tmp_path / name)
    (tmp_path / "train.csv").write_text("image,label\n")
    for name in ("reviewed.csv", "reviewed.parquet", "train.csv"):
        before = (tmp_path / name).read_bytes()
        assert main(["report", str(tmp_path / "out"), "--samples", str(tmp_path / name)]) == 2
        assert "not those of a table of samples: choose another path" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == before
    assert mine.read_text() == "mine"
    assert not (tmp_path / "new.csv").exists()
    for _ in range(2):
        assert main(["report", str(tmp_path / "out"), "--samples", str(tmp_path / "new.csv")]) == 0


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_pull_replaces_what_it_pulled_before(hub, tmp_path):
    make_restorer().push_to_hub("user/name")
    for _ in range(2):
        assert main(["pull", "user/name", str(tmp_path / "r"), "--quiet"]) == 0
    make_restorer().save_pretrained(tmp_path / "own")
    assert main(["pull", "user/name", str(tmp_path / "own"), "--quiet"]) == 2
