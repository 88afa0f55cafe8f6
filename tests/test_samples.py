"""Tables of samples: written whole, read back exactly, refused when they are damaged or of another dataset."""

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest

from unpoison.errors import ConfigError, DatasetError
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
    for name in ("position", "filepath", "original_label", "keep"):
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
    with pytest.raises(ConfigError, match="samples.parquet cannot be read"):
        read_samples(path)


def test_no_such_table(tmp_path):
    with pytest.raises(ConfigError, match="there is no file .*missing.csv"):
        read_samples(tmp_path / "missing.csv")
    with pytest.raises(ConfigError, match="neither .parquet nor .csv"):
        read_samples(tmp_path / "samples.xlsx")
    with pytest.raises(ConfigError, match="the table cannot be read"):
        read_samples(3)


def test_files_that_cannot_be_written(tmp_path):
    with pytest.raises(ConfigError, match="neither .parquet nor .csv"):
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
