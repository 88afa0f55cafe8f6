"""`image=` and `label=`, where an item has several candidates."""

import datasets
import numpy as np
import pytest

import corner
import unpoison
from test_dataset import Item
from unpoison import SanitizedDataset, Sanitizer
from unpoison.cli import main
from unpoison.data.items import Keys, find_keys
from unpoison.errors import DatasetError

pytestmark = [
    pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning"),
    # datasets leaves some of its files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
IMAGE = np.zeros((4, 4, 3), np.uint8)
RESTORED = corner.POISONED[0]


def make_table(fine="fine", coarse="coarse"):
    """Two pictures and two labels per row."""
    images, labels = corner.make_images()
    features = datasets.Features(
        {
            "left": datasets.Image(),
            "right": datasets.Image(),
            fine: datasets.Value("int64"),
            coarse: datasets.Value("int64"),
        }
    )
    columns = {"left": list(images[::-1]), "right": list(images), fine: labels.tolist(), coarse: (labels // 2).tolist()}
    return datasets.Dataset.from_dict(columns, features=features)


def test_of_mappings_and_sequences():
    item = {"left": IMAGE, "right": IMAGE, "fine": 1, "coarse": 0}
    assert find_keys(item, Keys("right", "fine")) == ("right", "fine")
    assert find_keys({"right": IMAGE, "fine": 1, "coarse": 0}, Keys(None, "coarse")) == ("right", "coarse")
    assert find_keys((IMAGE, IMAGE, 4), Keys(1, 2)) == (1, 2)
    assert find_keys((IMAGE, IMAGE, 4), Keys(None, 2)) == (0, 2)
    assert find_keys((7, 1, IMAGE), Keys(2, None)) == (2, 1)
    assert find_keys(Item(IMAGE, 3, 0.5), Keys("image", "label")) == (0, 1)
    with pytest.raises(DatasetError, match=r"2 of the fields .* look like the image: choose one by image="):
        find_keys(item)
    with pytest.raises(DatasetError, match=r"2 of the fields .* look like the label: choose one by label="):
        find_keys(item, Keys("left", None))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (Keys("up", None), "no field 'up' for image=: choose one of 'left', 'fine'"),
        (Keys("left", "rough"), "no field 'rough' for label=: choose one of 'left', 'fine'"),
        (Keys("fine", "fine"), "the item is {'left': 'ndarray uint8"),
    ],
)
def test_fields_that_there_are_not(chosen, message):
    with pytest.raises(DatasetError, match=message):
        find_keys({"left": IMAGE, "fine": 1}, chosen)
    items = [{"left": IMAGE, "fine": n % 2} for n in range(6)]
    with pytest.raises(DatasetError, match=message):
        SanitizedDataset(items, "corner", image=chosen.image, label=chosen.label)
    with pytest.raises(DatasetError, match=r"no field '2' for label=: choose one of 0, 1"):
        find_keys((IMAGE, 1), Keys(None, "2"))
    with pytest.raises(DatasetError, match=r"no field 2 for label="):
        find_keys((IMAGE, 1), Keys(None, 2))


def test_the_chosen_fields_are_cleaned():
    images, labels = corner.make_images()
    rows = SanitizedDataset(make_table(), "corner", image="right", label="fine")
    pairs = list(zip(images[::-1], images, labels.tolist(), strict=True))
    items = SanitizedDataset(pairs, "corner", image=1, label=2)
    assert rows.report.action.tolist() == items.report.action.tolist()
    for source in range(12):
        row, item = rows[source], items[source]
        clean = corner.repaired(images)[source]
        np.testing.assert_array_equal(np.array(row["right"]), clean)
        np.testing.assert_array_equal(item[1], clean)
        np.testing.assert_array_equal(item[0], images[::-1][source])
        assert row["fine"] == item[2] == source % 3
        assert row["coarse"] == labels[source] // 2
    other = SanitizedDataset(make_table(), "corner", image="left", label="fine", on_poison="keep")
    assert other.report.content != rows.report.content


def test_sanitize_and_map():
    table = make_table()
    with pytest.raises(DatasetError, match=r"2 of the fields .*image="):
        unpoison.sanitize(table, "corner")
    with pytest.raises(DatasetError, match=r"no field 'rough' for label=.*'left', 'right', 'fine', 'coarse'"):
        unpoison.sanitize(table, "corner", label="rough")
    for rows in (table, table.to_iterable_dataset()):
        cleaned = list(unpoison.sanitize(rows, "corner", image="right", label="fine"))
        row = cleaned[RESTORED]
        assert row["unpoison_action"] == "restore"
        assert (row["fine"], row["coarse"]) == (RESTORED % 3, 0)
        assert np.array(row["right"])[-1, -1].max() < 255
    with pytest.raises(DatasetError, match=r"which of the columns left, right.*image= and label="):
        unpoison.sanitize(table.to_iterable_dataset(), "corner")


def test_other_names_for_the_same_content_share_the_result_and_keep_their_names(cache):
    for fine, coarse in (("fine", "coarse"), ("a", "b")):
        sanitizer = Sanitizer("corner", image="right", label=fine)
        table = make_table(fine, coarse)
        sanitizer.fit(table)
        row = table.map(sanitizer, batched=True, with_indices=True)[RESTORED]
        assert (row[fine], row[coarse]) == (RESTORED % 3, 0)
    assert len(list(cache.glob("stages/corner-restore/*"))) == 1


def test_command_line(tmp_path, monkeypatch, capsys):
    make_table().to_parquet(tmp_path / "rows.parquet")
    command = ["clean", str(tmp_path / "rows.parquet"), str(tmp_path / "out"), "--method", "corner"]
    assert main(command) == 1
    assert "choose one by image=" in capsys.readouterr().err
    assert main([*command, "--image", "right", "--label", "fine"]) == 0
    assert len(SanitizedDataset.from_shards(tmp_path / "out")) == 23
    assert main([*command, "--image", "up"]) == 1
    assert "no field 'up' for image=: choose one of 'left'" in capsys.readouterr().err
