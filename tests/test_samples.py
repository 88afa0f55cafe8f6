"""Tables of samples: written whole, read back exactly, refused when they are damaged or of another dataset."""

import csv
import dataclasses

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest

from unpoison import Report
from unpoison.errors import ConfigError, DatasetError
from unpoison.image_files import ImageFiles
from unpoison.samples import CONTENT, check_samples, read_samples, write_samples

HOSTILE = ["comma, class", 'quo"te', "new\nline\r\n", "", "NA", "=1+1", "007", " édge; \t"]
LABELS = np.arange(8)


def reviewed(**changes):
    columns = {
        "position": pa.array(LABELS),
        "filepath": pa.array([None, *(f"/photos/{name}.png" for name in HOSTILE[1:])]),
        "original_label": pa.array(HOSTILE).dictionary_encode(),
        "score": pa.array([0.1] * 8, pa.float32()),
        "keep": pa.array([True, False, None] + [True] * 5),
    }
    return pa.table({**columns, **changes}, metadata={CONTENT: b"abc"})


@pytest.mark.parametrize("suffix", ["parquet", "csv", "CSV"])
def test_round_trip(tmp_path, suffix):
    table = reviewed()
    path = write_samples(table, tmp_path / "new" / f"samples.{suffix}")
    again = read_samples(path)
    assert again.schema.field("position").type == pa.int64()
    for name in ("position", "original_label", "keep"):
        assert again[name].to_pylist() == table[name].to_pylist()
    check_samples(again, content="abc", labels=LABELS, names=HOSTILE)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_parquet_keeps_everything(tmp_path):
    table = reviewed()
    again = pyarrow.parquet.read_table(write_samples(table, tmp_path / "samples.parquet"))
    assert again.equals(table, check_metadata=True)


def test_after_pandas(tmp_path):
    """Which writes null among booleans and numbers in its own way, and takes "NA" and "" for missing."""
    frame = reviewed().to_pandas()
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    pandas.read_csv(write_samples(reviewed(), tmp_path / "b.csv")).astype({"position": float}).to_csv(
        tmp_path / "c.csv"
    )
    for source in (frame, tmp_path / "a.csv", tmp_path / "a.parquet", tmp_path / "c.csv"):
        table = read_samples(source)
        assert table.sort_by("position")["keep"].to_pylist() == reviewed()["keep"].to_pylist()
        check_samples(table, content="abc", labels=LABELS, names=HOSTILE)


def test_spellings_of_numbers():
    names = ["000", "001", "012"]
    table = read_samples(pa.table({"position": [0, 2], "original_label": ["0", "12.0"], "keep": [1.0, 0.0]}))
    assert table["keep"].to_pylist() == [True, False]
    check_samples(table, content="", labels=np.arange(3), names=names)
    check_samples(table, content="", labels=np.array([0, 1, 12]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": pa.array([0] * 8)}, "a position is there twice"),
        ({"position": pa.array([None, *range(7)])}, "lacks its position"),
        ({"position": pa.array([0.5, *range(7)])}, "column position of the table holds something else than int64"),
        ({"keep": pa.array(["yes"] * 8)}, "column keep of the table .* true and false"),
        ({"keep": pa.array([2] * 8)}, "true and false"),
        ({"original_label": pa.array([b"\xff"] * 8)}, "column original_label"),
    ],
)
def test_columns_of_another_kind(changes, message):
    with pytest.raises(ConfigError, match=message):
        read_samples(reviewed(**changes))


def test_missing_columns(tmp_path):
    write_samples(reviewed().drop_columns(["keep"]), tmp_path / "samples.csv")
    with pytest.raises(ConfigError, match=r"samples.csv has no column keep: add it"):
        read_samples(tmp_path / "samples.csv")
    (tmp_path / "semicolons.csv").write_text("position;keep\n1;true\n")
    with pytest.raises(ConfigError, match=r"semicolons.csv has no column position, original_label, keep"):
        read_samples(tmp_path / "semicolons.csv")
    twice = pa.table([[1], [1], ["a"], [True]], names=["position", "position", "original_label", "keep"])
    with pytest.raises(ConfigError, match="has no column position"):
        read_samples(twice)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
@pytest.mark.parametrize("content", [b"", b"PAR1\xff\xfe", b'position,original_label,keep\n1,"a', b"\xff\n1,2\n3"])
def test_damaged_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"{name} "):
        read_samples(tmp_path / name)


def test_cut_off_parquet(tmp_path):
    path = write_samples(reviewed(), tmp_path / "samples.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError, match=r"samples.parquet cannot be read"):
        read_samples(path)


def test_no_such_table(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*missing.csv"):
        read_samples(tmp_path / "missing.csv")
    with pytest.raises(ConfigError, match=r"neither .parquet nor .csv"):
        read_samples(tmp_path / "samples.xlsx")
    with pytest.raises(ConfigError, match="the table cannot be read"):
        read_samples(3)


def test_files_that_cannot_be_written(tmp_path):
    with pytest.raises(ConfigError, match=r"neither .parquet nor .csv"):
        write_samples(reviewed(), tmp_path / "samples.txt")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="choose another path"):
        write_samples(reviewed(), tmp_path / "file" / "samples.csv")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"content": "abd"}, "other images or labels"),
        ({"labels": LABELS[:7]}, "position 7 and the dataset 7 items"),
        ({"labels": LABELS[::-1]}, "item 0 came as 'comma, class', but its class is ' édge"),
    ],
)
def test_tables_of_another_dataset(facts, message):
    with pytest.raises(DatasetError, match=message):
        check_samples(read_samples(reviewed()), **{"content": "abc", "labels": LABELS, "names": HOSTILE, **facts})


def test_a_negative_position():
    table = read_samples(pa.table({"position": [-1], "original_label": ["0"], "keep": [True]}))
    with pytest.raises(DatasetError, match="position -1"):
        check_samples(table, content="", labels=LABELS)


@pytest.fixture
def report():
    return Report(
        score=np.array([-1, 2.5, 3, 0.1], np.float32),
        flagged=np.array([False, True, True, False]),
        kind=np.array(["", "backdoor", "mislabelled", ""]),
        action=np.array(["keep", "restore", "drop", "keep"]),
        label=np.array([0, 1, -1, 12]),
        original_label=np.array([0, 0, 0, 12]),
        quality=np.array([1, 0.75, 0, 1], np.float32),
        reason=np.array(["", "", "unclear", ""]),
        duplicate_of=np.array([0, -1, -1, 0]),
        threshold=0.5,
        classes=[],
        timings={},
        config={},
        notes=[],
        versions={},
        class_names=HOSTILE[:2],
        content="abc",
        files=ImageFiles.of(["/photos/a/0.png", "", "/photos/b/2.png", "/photos/b/3.png"]),
    )


def test_table_of_a_report(report):
    table = report.samples()
    words = pa.dictionary(pa.int32(), pa.string())
    types = {
        "position": pa.int64(), "filepath": pa.string(), "label": words, "original_label": words,
        "score": pa.float32(), "flagged": pa.bool_(), "kind": words, "action": words, "quality": pa.float32(),
        "reason": words, "duplicate_of": pa.int64(),
    }  # fmt: skip
    assert table.schema.equals(pa.schema(types, {CONTENT: b"abc"}), check_metadata=True)
    assert table.to_pydict() == {
        "position": [0, 1, 2, 3],
        "filepath": ["/photos/a/0.png", None, "/photos/b/2.png", "/photos/b/3.png"],
        "label": ["comma, class", 'quo"te', None, "12"],
        "original_label": ["comma, class", "comma, class", "comma, class", "12"],
        "score": report.score.tolist(),
        "flagged": [False, True, True, False],
        "kind": ["", "backdoor", "mislabelled", ""],
        "action": ["keep", "restore", "drop", "keep"],
        "quality": [1, 0.75, 0, 1],
        "reason": ["", "", "unclear", ""],
        "duplicate_of": [0, None, None, 0],
    }


def test_classes_of_one_name(report):
    """Programs that know categories refuse a table that has one twice."""
    table = dataclasses.replace(report, class_names=["same"] * 13).samples()
    assert table["original_label"].chunk(0).dictionary.to_pylist() == ["same"]


@pytest.mark.parametrize("names", [None, ["7", "8"]])
def test_the_table_of_a_report_comes_back(report, tmp_path, names):
    report = dataclasses.replace(report, class_names=names)
    table = report.samples().append_column("keep", pa.array([False, True, None, False]))
    for name in ("samples.csv", "samples.parquet"):
        again = read_samples(write_samples(table, tmp_path / name))
        check_samples(again, content="abc", labels=report.original_label, names=names)
    assert pyarrow.parquet.read_table(tmp_path / name).equals(table, check_metadata=True)


def test_what_a_plain_reader_of_csv_sees(report, tmp_path):
    """As the importer of FiftyOne reads: a row that names an absolute path, and text or nothing in every field."""
    with write_samples(report.samples(), tmp_path / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["filepath"] for row in rows] == ["/photos/a/0.png", "", "/photos/b/2.png", "/photos/b/3.png"]
    assert [row["label"] for row in rows] == ["comma, class", 'quo"te', "", "12"]
    assert [float(row["score"]) for row in rows] == pytest.approx([-1, 2.5, 3, 0.1])
    assert [row["flagged"] for row in rows] == ["false", "true", "true", "false"]


def test_images_that_lie_elsewhere(report, tmp_path, monkeypatch):
    (tmp_path / "moved" / "a").mkdir(parents=True)
    (tmp_path / "moved" / "a" / "0.png").touch()
    monkeypatch.chdir(tmp_path)
    handed_on = dataclasses.replace(report, files=report.files.without_folder())
    assert handed_on.samples()["filepath"].to_pylist()[:2] == ["a/0.png", None]
    for known in (report, handed_on):
        assert known.samples("moved")["filepath"].to_pylist()[:2] == [str(tmp_path / "moved" / "a" / "0.png"), None]
    with pytest.raises(ConfigError, match=r"a/0.png is not in moved/a: name the folder"):
        report.samples("moved/a")
    with pytest.raises(ConfigError, match="names no files"):
        dataclasses.replace(report, files=None).samples("moved")


def test_images_at_the_root(report):
    at_root = dataclasses.replace(report, files=ImageFiles.of(["/0.png", "/b/1.png", "", ""]))
    assert at_root.samples()["filepath"].to_pylist() == ["/0.png", "/b/1.png", None, None]


def test_many_files(report, monkeypatch):
    monkeypatch.setattr("unpoison.samples._PART", 3)
    assert report.samples()["filepath"].to_pylist() == ["/photos/a/0.png", None, "/photos/b/2.png", "/photos/b/3.png"]


def test_after_fiftyone(tmp_path):
    """Which writes all values as text, without quotes where it can."""
    rows = [["1", 'quo"te', "True"], ["4", "NA", ""], ["0", HOSTILE[0], "False"]]
    with (tmp_path / "reviewed.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["position", "original_label", "keep"], *rows])
    table = read_samples(tmp_path / "reviewed.csv")
    assert table["original_label"].to_pylist() == ['quo"te', "NA", HOSTILE[0]]
    assert table["keep"].to_pylist() == [True, None, False]
    check_samples(table, content="abc", labels=LABELS, names=HOSTILE)


def test_new_lines_where_a_reader_cuts_the_file(tmp_path):
    """Which Arrow does each megabyte."""
    long = "\n" * 300_000
    table = pa.table({"position": range(8), "original_label": [long] * 8, "keep": [True] * 8})
    assert read_samples(write_samples(table, tmp_path / "samples.csv"))["original_label"].to_pylist() == [long] * 8
