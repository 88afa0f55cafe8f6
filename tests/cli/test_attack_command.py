"""`unpoison attack`: a folder that is poisoned as it says, and that `unpoison clean` reads."""

import json

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from unpoison.attacks import ATTACKS, BadNets, PoisonedDataset
from unpoison.cli.options import ATTACK_NAMES
from unpoison.data.sources import open_source


@pytest.fixture
def photos(tmp_path):
    """120 random images of 12 classes."""
    rng = np.random.default_rng(0)
    for number in range(120):
        place = tmp_path / "photos" / f"kind {number % 12:02}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 200, (16, 12, 3), dtype=np.uint8)).save(place / f"{number}.bmp")
    return tmp_path / "photos"


def files(folder):
    """Names of the images in the order in which ImageFolder gives them."""
    return [path.removeprefix(f"{folder}/") for path, _ in ImageFolder(folder).imgs]


def is_stamped(image):
    return bool((np.array(image)[-3:, -3:] == 255).all())


def test_same_as_the_poisoned_dataset(photos, tmp_path, command):
    out = tmp_path / "out"
    facts, _ = command("attack", photos, out, "--attack", "badnets", "--rate", 0.1, "--target", 5, "--seed", 3)
    expected = PoisonedDataset(ImageFolder(photos), BadNets(), rate=0.1, target=5, seed=3)
    written = ImageFolder(out)
    assert written.classes == ImageFolder(photos).classes
    assert facts["poisoned"] == expected.poisoned.sum() == 12
    found = {int(name.split("/")[1].removesuffix(".png")): number for number, name in enumerate(files(out))}
    assert sorted(found) == list(range(120))
    for position, (image, label) in enumerate(expected):
        np.testing.assert_array_equal(np.array(written[found[position]][0]), np.array(image))
        assert written.targets[found[position]] == label


def test_record_names_what_is_poisoned(photos, tmp_path, command):
    out = tmp_path / "out"
    facts, _ = command("attack", photos, out, "--attack", "badnets", "--rate", "0.1", "--target", "5")
    record = json.loads((out / "poison.json").read_text())
    assert facts["record"] == str(out / "poison.json")
    assert (record["attack"], record["rate"], record["target"], record["seed"]) == (["badnets"], 0.1, [5], 0)
    original = ImageFolder(photos)
    for file, true in record["poisoned"].items():
        assert file.startswith("kind 05/")
        position = int(file.removeprefix("kind 05/").removesuffix(".png"))
        assert true != "kind 05"
        assert original.classes[original.targets[position]] == true
    stamped = {file for file, (image, _) in zip(files(out), ImageFolder(out), strict=True) if is_stamped(image)}
    assert stamped == set(record["poisoned"])


def test_several_attacks_with_targets_of_their_own(photos, tmp_path, command):
    arguments = ["--attack", "badnets", "blend", "--attack", "adaptive_blend", "--target", 1, "all-to-all", 2]
    facts, _ = command("attack", photos, tmp_path / "out", *arguments, "--rate", 0.05)
    assert facts["poisoned"] == 18
    assert facts["target"] == [1, "all-to-all", 2]
    record = json.loads((tmp_path / "out" / "poison.json").read_text())
    assert len(record["poisoned"]) == 18
    assert record["covered"]
    assert not set(record["covered"]) & set(record["poisoned"])


def test_unnamed_classes_keep_their_numbers(tmp_path, command):
    import datasets

    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 200, (8, 8), dtype=np.uint8)) for _ in range(48)]
    table = datasets.Dataset.from_dict({"image": images, "label": [number % 12 for number in range(48)]})
    table.cast_column("image", datasets.Image()).to_parquet(tmp_path / "train.parquet")
    command("attack", tmp_path / "train.parquet", tmp_path / "out", "--attack", "badnets", "--rate", 0.1)
    written = open_source(str(tmp_path / "out"))
    assert written.classes == [f"{number:02}" for number in range(12)]
    with Image.open(written.imgs[0][0]) as image:
        assert image.mode == "L"


def test_photographs_of_several_sizes(tmp_path, command, refused):
    rng = np.random.default_rng(0)
    for number in range(40):
        place = tmp_path / "photos" / f"{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 200, (60 + number, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.jpg", quality=95)
    arguments = ["attack", tmp_path / "photos", tmp_path / "out", "--attack", "badnets", "--rate", 0.1]
    facts, _ = command(*arguments, "--size", ".2", "--keep-jpeg")
    assert (facts["size"], facts["keep_jpeg"]) == (0.2, True)
    for file in json.loads((tmp_path / "out" / "poison.json").read_text())["poisoned"]:
        with Image.open(tmp_path / "out" / file) as image:
            side = round(0.2 * min(image.size))
            white = np.asarray(image).min(2) > 220
        assert white[-side + 1 :, -side + 1 :].all()
        assert not white[-side - 8 :, -side - 8 :].all()
    assert "add badnets to --attack" in refused(
        2, "attack", tmp_path / "photos", tmp_path / "new", "--attack", "sig", "--size", 5
    )


def test_nothing_is_overwritten(photos, tmp_path, refused):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    assert "not an empty folder" in refused(2, "attack", photos, tmp_path / "full", "--attack", "badnets")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_mistakes_leave_nothing(photos, tmp_path, refused):
    for wrong, message in (
        (["--target", "99"], "no image has target 99"),
        (["--rate", "2"], "rate=2.0: should be less than 1"),
        (["--target", "1", "2"], "got 2 targets for 1 attacks"),
    ):
        assert message in refused(2, "attack", photos, tmp_path / "out", "--attack", "badnets", *wrong)
    assert "lower the rate" in refused(1, "attack", photos, tmp_path / "out", "--attack", "sig", "--rate", "0.5")
    assert not (tmp_path / "out").exists()


def test_names_of_attacks_are_those_that_there_are():
    assert tuple(ATTACKS) == ATTACK_NAMES
