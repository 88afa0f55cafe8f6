"""Parts of the originals on the page: from the run to the file, and from the file to the page."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from pages import Loads, make
from PIL import Image

import corner
from listed import relist
from unpoison import Report, SanitizedDataset
from unpoison.errors import CacheError
from unpoison.html.page import MAX_BYTES, render
from unpoison.pictures import CROP, FILE, MAX_CROPS, Crop

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
SIDE = 60


def with_crops(crops=3, size=(120, 90), **facts):
    """A report with crops of the originals of the first images."""
    report = make(**facts)
    rng = np.random.default_rng(1)
    shape = (2, min(CROP, size[0]), min(CROP, size[1]), 3)
    cut = {row: Crop(24, 0, size, *rng.integers(0, 256, shape, dtype=np.uint8)) for row in range(crops)}
    return dataclasses.replace(report, pictures=dataclasses.replace(report.pictures, crops=cut))


def photographs(folder):
    """14 photographs of 120 x 90 pixels with a white corner where poisoned, of which one is of the working size."""
    images, labels = corner.make_images(14, SIDE)
    images = images[:, :, : SIDE * 3 // 4]
    large = images.repeat(2, 1).repeat(2, 2)
    large[list(corner.POISONED), -3:, -3:] = 255
    images[8, -1, -1] = 255
    dataset = corner.image_folder(large, labels, folder)
    [path] = [path for path, _ in dataset.samples if path.endswith("008.png")]
    Image.fromarray(images[8]).save(path)
    return dataset, large


class Focus(HTMLParser):
    """What stands within the elements that the focus reaches, by tag."""

    def __init__(self, text):
        super().__init__()
        self.depth, self.reached = 0, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if attributes.get("class") == "native":
            assert attributes["tabindex"] == "0"
            self.reached.append([])
            self.depth = 1
        elif self.depth and tag == "figure":
            self.depth += 1
        elif self.depth and tag == "img":
            self.reached[-1].append(attributes)

    def handle_endtag(self, tag):
        self.depth -= tag == "figure" and self.depth > 0


def test_crops_are_magnified_by_pointer_and_focus():
    text = render(with_crops())
    found = Focus(text).reached
    assert len(found) == 3
    place = "96 × 90 of 120 × 90 pixels, from row 24 and column 0"
    before, after = found[0]
    assert before["alt"] == f"Image 0 before, at its own size: {place}"
    assert after["alt"] == f"Image 0 after, at its own size: {place}"
    assert (before["width"], before["height"]) == ("90", "96")
    assert before["src"] != after["src"]
    assert re.search(r"\.native:is\(:hover, :focus\) img {", text)
    assert "image-rendering: pixelated" in text
    assert "to magnify it" in Loads(text).text


def test_sentences_do_not_run_into_each_other():
    for report in (make(), with_crops(), with_crops(action="keep")):
        assert not re.findall(r"\w\.[A-Z]\w* ", render(report))


def test_nothing_more_is_allowed_for_it():
    policies = [
        re.findall(r'Content-Security-Policy" content="([^"]*)"', render(report)) for report in (make(), with_crops())
    ]
    assert policies[0] == policies[1]
    page = Loads(render(with_crops()))
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses if address[0] != "#")
    assert all(page.alts)
    assert page.tags.count("script") == 1


def test_without_crops_nothing_is_said_of_them():
    text = render(make())
    assert 'class="native"' not in text
    assert "magnify" not in Loads(text).text


def test_images_that_are_not_restored_have_none():
    assert 'class="native"' not in render(with_crops(action="keep"))


def test_crops_are_counted_in_the_pages_size():
    report = with_crops(MAX_CROPS, (500, 500), count=2000, flagged=300, side=64)
    text = render(report)
    assert len(text) < MAX_BYTES + 500_000
    few = render(report, max_bytes=400_000)
    assert 1 <= few.count('class="native"') < 5
    assert len(few) < 900_000


def test_crops_of_several_sizes_are_kept(tmp_path):
    report = with_crops()
    crops = report.pictures.crops
    crops[7] = Crop(0, 100, (40, 200), *np.full((2, 40, CROP, 3), 9, np.uint8))
    again = Report.load(report.save(tmp_path)).pictures.crops
    assert again.keys() == crops.keys()
    for row, crop in crops.items():
        assert again[row][:3] == crop[:3]
        np.testing.assert_array_equal(again[row].before, crop.before)
        np.testing.assert_array_equal(again[row].after, crop.after)
    assert render(Report.load(tmp_path)) == render(report)


def rewrite(folder, drop=(), **changes):
    with np.load(folder / FILE) as arrays:
        values = {name: arrays[name] for name in arrays if name not in drop}
    np.savez(folder / FILE, **{**values, **changes})
    return relist(folder)


def test_reports_of_older_versions_have_none(tmp_path):
    with_crops().save(tmp_path)
    assert Report.load(rewrite(tmp_path, drop=("cropped", "places", "crops"))).pictures.crops == {}


PLACES = np.array([[24, 0, 120, 90]] * 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"drop": ("places",)},
        {"drop": ("cropped", "crops")},
        {"crops": np.zeros((3, 2, CROP, CROP, 3), np.uint16)},
        {"crops": np.zeros((3, 2, CROP, CROP, 1), np.uint8)},
        {"crops": np.zeros((3, 2, 5, 5, 3), np.uint8)},
        {"crops": np.zeros((2, 2, CROP, CROP, 3), np.uint8)},
        {"crops": np.zeros((3, CROP, CROP, 3), np.uint8)},
        {"cropped": np.zeros(3, np.int64)},
        {"cropped": np.array([0, 1, 10])},
        {"cropped": np.array([-1, 1, 2])},
        {"cropped": np.array([0.0, 1.0, 2.0])},
        {"places": PLACES[:2]},
        {"places": PLACES[:, :3]},
        {"places": PLACES + np.array([1, 0, 0, 0])},
        {"places": PLACES + np.array([0, 1, 0, 0])},
        {"places": PLACES - [25, 0, 0, 0]},
        {"places": PLACES * [0, 0, 0, 1]},
        {"places": PLACES - [0, 0, 0, 2**63 - 1]},
    ],
)
def test_crops_of_another_kind(tmp_path, changes):
    with_crops().save(tmp_path)
    with pytest.raises(CacheError, match=r"pictures\.npz is missing, damaged or not of unpoison"):
        Report.load(rewrite(tmp_path, **changes))


def test_more_crops_than_are_shown(tmp_path):
    with_crops(MAX_CROPS + 1, flagged=MAX_CROPS + 2, count=300).save(tmp_path)
    with pytest.raises(CacheError, match="the crops are not of the pictures"):
        Report.load(tmp_path)


def run(folder):
    dataset, large = photographs(folder)
    report = SanitizedDataset(dataset, "corner", max_side=SIDE).prepare().report
    number_of = [int(file.split("/")[-1].removesuffix(".png")) for file in report.pictures.files]
    return report, large, number_of


def test_a_real_run_shows_the_originals(tmp_path):
    report, large, number_of = run(tmp_path / "photographs")
    assert sorted(number_of) == [3, 8, 13]
    assert (report.action[report.pictures.index] == "restore").sum() == 2
    [(row, crop)] = report.pictures.crops.items()  # of 8, the working copy is the image
    assert number_of[row] == 3
    assert (crop.top, crop.left, crop.size) == (24, 0, (120, 90))
    np.testing.assert_array_equal(crop.before, large[3, 24:])
    assert (crop.after[-1, -1] != crop.before[-1, -1]).any()
    assert len(Focus(render(report)).reached) == 1


def test_what_is_left_out_is_not_counted(tmp_path):
    dataset, _ = photographs(tmp_path / "photographs")
    path, _ = dataset.samples[0]
    Path(path).write_bytes(b"")
    report = SanitizedDataset(dataset, "corner", max_side=SIDE, on_unreadable="skip").prepare().report
    [row] = report.pictures.crops
    assert report.pictures.files[row].endswith("003.png")


def test_no_more_than_the_first_are_cut_out(tmp_path, monkeypatch):
    monkeypatch.setattr("unpoison.publishing.MAX_CROPS", 0)
    assert run(tmp_path / "photographs")[0].pictures.crops == {}
