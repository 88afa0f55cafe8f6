"""The page: self-contained, escaped, bounded, the same bytes each time, and honest about what was found."""

import dataclasses
import re

import numpy as np
import pytest
from pages import Loads, make

from listed import relist
from unpoison import Report, SanitizedDataset, Sanitizer
from unpoison.errors import CacheError, ConfigError
from unpoison.html import charts, words
from unpoison.html.page import PAGE, render
from unpoison.illustration import illustrate
from unpoison.pictures import FILE, MAX_IMAGES, Footprint
from unpoison.report import ClassEvidence

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
EVIL = "<script>alert(1)</script>"


def test_nothing_is_loaded():
    text = render(make())
    page = Loads(text)
    assert page.addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.addresses)
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src 'none'" in text
    assert not {"link", "iframe", "object", "base"} & set(page.tags)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_every_picture_is_described():
    page = Loads(render(make()))
    assert len(page.alts) == page.tags.count("img") == 30 + 2
    assert all(page.alts)
    assert page.tags.count("h1") == 1


def test_names_are_escaped():
    report = make(class_names=["a", EVIL, "c"])
    report.pictures.files[:] = [f"x/{EVIL}"] * len(report.pictures.files)
    report = dataclasses.replace(
        report,
        notes=[EVIL],
        versions={EVIL: EVIL},
        timings={EVIL: 1.0},
        config={"method": EVIL, "seed": f"</pre>{EVIL}"},
        kind=np.where(report.flagged, EVIL, ""),
    )
    text = render(report)
    assert EVIL not in text
    assert "x/&lt;script&gt;" in text
    assert Loads(text).tags.count("script") == 1
    assert EVIL not in report._repr_html_()


def test_letters_that_the_charts_font_lacks_and_signs_of_formulas():
    text = render(make(class_names=["$x$ \x07", "飛行機", "c" * 100]))
    assert "飛行機 (1)" in text
    assert "$x$ ?" in text
    assert f"{'c' * 19}… (2)" in text


def test_what_a_reader_looks_for():
    page = Loads(render(make(class_names=["cat", "dog", "ship"]))).text
    assert (
        "Of 60 images, 10 look poisoned with a backdoor for class dog (1), with a trigger at the bottom right" in page
    )
    assert "2 × 2 pixels" in page
    assert "dog (1) → ship (2)" in page
    assert "no. 3 in the dataset" in page
    assert "Mean absolute difference of 10 restored images" in page
    assert "What this cannot tell you" in page


def test_empty_run():
    page = Loads(render(make(flagged=0))).text
    assert "Nothing was flagged among 60 images, which is no proof" in page
    assert "is clean" not in page
    assert "are clean" not in page
    assert "Nothing was dropped" in page


@pytest.mark.parametrize(("action", "says"), [("drop", words.REASONS["asked"]), ("keep", "flagged, and kept")])
def test_other_actions(action, says):
    text = render(make(action=action))
    assert says in Loads(text).text
    assert Loads(text).tags.count("img") == 10


def test_the_explanation_shows_the_place_where_nothing_is_restored():
    report = make(action="drop")
    change = np.zeros((8, 8), np.float32)
    change[:2, :2] = 90
    found = Footprint([1], "patch", 0, change)
    pictures = illustrate(report, np.zeros((60, 8, 8, 3), np.uint8), np.zeros(0, int), np.zeros((0, 8, 8, 3)), [found])
    page = Loads(render(dataclasses.replace(report, pictures=pictures))).text
    assert "with a trigger at the top left, 2 × 2 pixels" in page
    assert "Nothing was restored here" in page


def test_a_patch_that_moves_has_no_place():
    report = make()
    found = Footprint([1], "moving patch", 0, np.full((8, 8), 9, np.float32))
    pictures = dataclasses.replace(report.pictures, footprints=[found])
    page = Loads(render(dataclasses.replace(report, pictures=pictures))).text
    assert "with a patch that lies elsewhere in every image" in page
    assert "with a trigger at" not in page


@pytest.mark.parametrize(
    ("kind", "said"), [("warp", "Trigger: a warp of the whole image"), ("magic", "Trigger: magic"), ("", None)]
)
def test_the_kind_of_a_trigger_in_words(kind, said):
    # Reports may come from where other kinds are known.
    report = make()
    found = Footprint([1], kind, 0, np.full((8, 8), 9, np.float32))
    pictures = dataclasses.replace(report.pictures, footprints=[found])
    page = Loads(render(dataclasses.replace(report, pictures=pictures))).text
    assert "Trigger:" not in page if said is None else said in page


def test_votes():
    votes = np.ones((60, 3), bool)
    votes[:10, 1:] = False
    page = Loads(render(dataclasses.replace(make(action="drop"), votes=votes))).text
    assert "3 networks were asked" in page
    assert "1 of 3 votes" in page


def test_mislabelled_images_have_no_target():
    page = Loads(render(make(kind="mislabelled"))).text
    assert "Of 60 images, 10 look mislabelled." in page
    assert "Target class" not in page


def test_size_and_count_of_a_large_run():
    report = make(50_000, 1_500, 64, 10)
    text = render(report)
    assert len(text) < 10_000_000
    shown = text.count('<li>\n<div class="trio">')
    assert 100 < shown <= MAX_IMAGES
    assert f"Showing {shown} of 1,500." in text
    assert f'data-per="{PAGE}"' in text


def test_many_classes():
    report = make(4000, 20, 8, 1000)
    text = render(report)
    assert len(charts.most_suspicious(report, charts.gates(report.config)[0])) == charts.MAX_CLASSES
    assert "The 30 most suspicious of 1,000 classes are shown." in text
    assert charts.most_suspicious(report, charts.gates(report.config)[0])[0].label == 1


def test_same_bytes_also_when_reopened(tmp_path):
    report = make(class_names=["a", "b", "c"], content="ab12")
    fresh = report.to_html(tmp_path / "new" / "fresh.html")
    again = Report.load(report.save(tmp_path / "saved")).to_html(tmp_path / "again.html")
    assert fresh.read_bytes() == again.read_bytes()
    assert "ab12" in fresh.read_text()


def test_report_without_pictures(tmp_path):
    report = make()
    report.save(tmp_path)
    dataclasses.replace(report, pictures=None).save(tmp_path)
    again = Report.load(tmp_path)
    assert again.pictures is None
    assert "written without pictures" in render(again)


def rewrite(folder, **changes):
    with np.load(folder / FILE) as arrays:
        values = {name: arrays[name] for name in arrays}
    np.savez(folder / FILE, **{**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"before": np.zeros((10, 4, 4, 3), np.uint8)},
        {"before": np.zeros((10, 8, 8, 3), np.float32)},
        {"before": np.zeros((10, 8, 8), np.uint8)},
        {"index": np.arange(51, 61)},
        {"index": np.zeros(10, np.int64)},
        {"index": np.array(["1"] * 10)},
        {"files": np.array(["a"])},
        {"files": np.array([None] * 10)},
        {"changes": np.full((1, 8, 8), np.nan, np.float32)},
        {"changes": np.zeros((1, 3, 3), np.float32)},
        {"classes": np.arange(3)},
        {"images": np.zeros(4, np.int64)},
    ],
)
def test_pictures_of_another_kind(tmp_path, changes):
    make().save(tmp_path)
    rewrite(tmp_path, **changes)
    with pytest.raises(CacheError, match=r"pictures\.npz is missing, damaged or not of unpoison"):
        Report.load(relist(tmp_path))


@pytest.mark.parametrize("content", [b"", b"PK", None])
def test_damaged_and_huge_pictures(tmp_path, monkeypatch, content):
    make().save(tmp_path)
    if content is None:
        monkeypatch.setattr("unpoison.pictures._MAX_FILE", 5000)
    else:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CacheError, match=r"pictures\.npz is missing, damaged or not of unpoison"):
        Report.load(relist(tmp_path))


def test_a_real_run_shows_files_and_names(images_and_labels, tmp_path):
    import corner

    dataset = corner.image_folder(*images_and_labels, tmp_path / "data")
    report = SanitizedDataset(type(dataset)(tmp_path / "data"), "corner").prepare().report
    assert report.class_names == ["class0", "class1", "class2"]
    assert len(report.content) == 64
    assert sorted(report.pictures.index.tolist()) == np.flatnonzero(report.flagged).tolist()
    assert all(re.fullmatch(r"class\d/[^/]+", file) for file in report.pictures.files)
    restored = report.action[report.pictures.index] == "restore"
    assert restored.sum() == 2
    changed = (report.pictures.before != report.pictures.after)[restored]
    assert changed[:, -1, -1].any()
    assert not changed[:, 0].any()
    page = Loads(render(report)).text
    assert report.pictures.files[0] in page
    assert "config='default'" in page


def test_names_of_hugging_face_files(images_and_labels, tmp_path):
    import datasets
    from PIL import Image

    images, labels = images_and_labels
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    table = datasets.Dataset.from_dict(
        {"image": [str(tmp_path / f"{number}.png") for number in range(len(images))], "label": labels},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")}),
    )
    pictures = Sanitizer("corner").fit(table).pictures
    assert [file.split("/")[-1] for file in pictures.files] == [f"{position}.png" for position in pictures.index]


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ((slice(29, 32), slice(29, 32)), "at the bottom right, 3 × 3 pixels"),
        ((slice(0, 2), slice(14, 18)), "at the top, 2 × 4 pixels"),
        ((slice(14, 18), slice(0, 2)), "at the left, 4 × 2 pixels"),
        ((slice(14, 18), slice(14, 18)), "in the middle, 4 × 4 pixels"),
        ((slice(None), slice(None)), "spread over the image"),
        ((slice(0, 32, 31), slice(0, 32, 31)), "in a few spots"),
    ],
)
def test_places_have_names(box, says):
    change = np.zeros((32, 32), np.float32)
    change[box] = 40
    assert words.place(change).words == says
    assert words.place(change + 1.5).words == says
    assert words.place(change / 100).words == "too small to see"


def test_classes_to_look_at_and_those_that_cannot_be_assessed():
    report = make(flagged=0, class_names=["cat", "dog", "ship"])
    assert "nothing found" in Loads(render(report)).text
    statuses = ("clean", "needs a look", "not assessable")
    classes = [dataclasses.replace(entry, status=s) for entry, s in zip(report.classes, statuses, strict=True)]
    page = Loads(render(dataclasses.replace(report, classes=classes))).text
    assert "Class dog (1) needs a look: so much was flagged that nothing in it was changed." in page
    assert "Nothing was flagged among" not in page
    assert words.STATUS["needs a look"] in page
    assert words.STATUS["not assessable"] in page
    assert "poisoned, or needs a look" in page


def test_duplicates():
    assert "What is there several times" not in render(make())
    of = np.full(60, -1)
    of[[20, 30, 40]], of[[21, 50]] = 20, 21
    page = Loads(render(make(class_names=["cat", "dog", EVIL], duplicate_of=of)))
    assert "What is there several times" in page.text
    assert f"cat (0), dog (1) and {EVIL} (2)320, 30 and 40" in page.text
    assert "the same as others5" in page.text
    assert page.tags.count("script") == 1


def test_call_names_the_preset():
    config = {"method": "pdautor", "preset": "fast", "on_poison": "drop", "max_altered": 1, "seed": 3}
    expected = "unpoison.Sanitizer('pdautor', config='fast', on_poison='drop', max_altered=1, seed=3).fit(dataset)"
    assert words.reproduce(dataclasses.replace(make(), config=config)) == expected
    del config["preset"]
    assert "config=..." in words.reproduce(dataclasses.replace(make(), config=config))


def test_gates_of_both_methods_of_the_ensemble():
    config = {"method": "ensemble", "pdautor": {"detection": {"outliers": "svd"}}, "bab": {"verification": {}}}
    first, second = charts.gates(config)
    assert (first.title, second.title) == ("PD-AutoR", "BaB")
    entry = ClassEvidence(label=0, size=5, evidence=1.0, poisoned=False, details={"bab": 2.0})
    assert (first.value_of(entry), second.value_of(entry)) == (1.0, 2.0)


def test_scores_that_are_not_numbers():
    report = make()
    report.score[:3] = np.nan, np.inf, -np.inf
    assert "samples (log)" in render(report)


def test_bins_end_at_the_threshold():
    edges = charts._edges(np.array([-7.3, 2.1, 11.0]), 1.25)
    assert np.isclose(edges, 1.25).any()
    assert edges[0] <= -7.3
    assert edges[-1] >= 11


def test_notebooks():
    frame = make()._repr_html_()
    assert frame.startswith("<iframe sandbox")
    assert Loads(frame).tags == ["iframe"]


def test_where_it_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="choose another path"):
        make().to_html(tmp_path / "file" / "report.html")
