"""`keep=`: positions and reviewed tables, and the mistakes in both."""

import numpy as np
import pandas
import pyarrow as pa
import pytest
import torch

import corner
from unpoison import SanitizedDataset, Sanitizer
from unpoison.cli import main
from unpoison.errors import ConfigError, DatasetError
from unpoison.report import Report
from unpoison.samples import write_samples

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
FIRST, SECOND, LAST = corner.POISONED


def flagged(dataset, keep):
    return np.flatnonzero(Sanitizer("corner", keep=keep).fit(dataset).flagged).tolist()


@pytest.fixture
def table(pairs):
    """The report's own, after a review that keeps the second flagged sample and one that was not flagged."""
    samples = Sanitizer("corner").fit(pairs).samples()
    keep = [position in (SECOND, 0) for position in range(24)]
    return samples.append_column("keep", pa.array(keep))


@pytest.mark.parametrize(
    "positions",
    [[SECOND], (0, SECOND), np.array([SECOND, 0]), torch.tensor([SECOND]), {SECOND}, range(SECOND, SECOND + 1)],
    ids=["list", "tuple", "array", "tensor", "set", "range"],
)
def test_positions(positions, pairs):
    assert flagged(pairs, positions) == [FIRST, LAST]
    assert flagged(pairs, []) == [FIRST, SECOND, LAST]


def test_tables(table, pairs, tmp_path):
    files = [write_samples(table, tmp_path / f"reviewed{suffix}") for suffix in (".csv", ".parquet")]
    part = table.filter(pa.array([position >= SECOND for position in range(24)]))
    frame = table.to_pandas()
    frame["comment"] = "fine"
    for keep in (table, frame, frame.iloc[::-1], part, *files, str(files[0])):
        assert flagged(pairs, keep) == [FIRST, LAST]
    assert isinstance(frame, pandas.DataFrame)


def test_the_dataset_takes_it_too(table, pairs):
    served = SanitizedDataset(pairs, "corner", keep=table)
    assert np.flatnonzero(served.report.flagged).tolist() == [FIRST, LAST]


MISTAKES = {
    "negative": ([-1], "position -1 is negative: count from 0"),
    "beyond": ([24], "there is no position 24 among 24 samples"),
    "twice": ([3, 1, 3], "position 3 is there twice"),
    "fraction": ([1.5], "1.5 is no position: give ints"),
    "mask": (np.zeros(24, bool), "got booleans: give positions"),
    "tensor_mask": (torch.zeros(24, dtype=torch.bool), "got booleans"),
    "number": (3, "got int: give positions"),
    "no_file": ("nowhere.csv", "there is no file nowhere.csv"),
    "other_file": ("reviewed.txt", "neither .parquet nor .csv"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake, pairs):
    keep, message = MISTAKES[mistake]
    with pytest.raises(ConfigError, match=message):
        Sanitizer("corner", keep=keep).fit(pairs)


def test_mistakes_in_tables(table, pairs):
    renamed = table.rename_columns([name if name != "keep" else "keeep" for name in table.column_names])
    with pytest.raises(ConfigError, match="has no column keep"):
        Sanitizer("corner", keep=renamed)
    with pytest.raises(ConfigError, match="a position is there twice"):
        Sanitizer("corner", keep=pa.concat_tables([table, table]))


def test_tables_of_other_datasets(table, images_and_labels, pairs):
    images, labels = images_and_labels
    fewer = pairs[:20]
    other = [(image[::-1], int(label)) for image, label in zip(images, labels, strict=True)]
    shuffled = pairs[::-1]
    plain = table.replace_schema_metadata(None)
    for dataset, keep in ((fewer, table), (fewer, plain), (other, table), (shuffled, plain)):
        with pytest.raises(DatasetError, match="pass the table that was made from the report on this dataset"):
            Sanitizer("corner", keep=keep).fit(dataset)


def test_command_line(table, images_and_labels, tmp_path, capsys):
    source = str(corner.image_folder(*images_and_labels, tmp_path / "photos").root)
    command = ["clean", source, "--method", "corner", "--quiet"]
    assert main([*command, str(tmp_path / "first")]) == 0
    report = Report.load(tmp_path / "first")
    kept = int(np.flatnonzero(report.flagged)[1])
    keep = pa.array([position == kept for position in range(24)])
    path = write_samples(report.samples().append_column("keep", keep), tmp_path / "reviewed.csv")
    again = [*command, str(tmp_path / "second"), "--keep", str(path), "--reread", "all"]
    assert main(again) == 0
    assert not Report.load(tmp_path / "second").flagged[kept]
    assert Report.load(tmp_path / "second").flagged.sum() == 2
    capsys.readouterr()
    assert main([*command, str(tmp_path / "third"), "--keep", str(tmp_path / "none.csv")]) != 0
    assert "there is no file" in capsys.readouterr().err
