"""Sets that look for harm done to clean data: their list, the data of each kind, measures, bars, page and command."""

import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unpoison.cli import main
from unpoison.errors import ConfigError, DatasetError
from unpoison_bench import processes
from unpoison_bench.false_alarms import measuring, running
from unpoison_bench.false_alarms.bars import bars, harmed
from unpoison_bench.false_alarms.cases import Case, Draw, Poison
from unpoison_bench.false_alarms.drawing import draw, draw_rows, draw_test
from unpoison_bench.false_alarms.files import read_names, source_size
from unpoison_bench.false_alarms.listing import CASES, choose_cases, get_case
from unpoison_bench.false_alarms.loading import Loaded, Photographs, load, load_test, of_shape, working_shape
from unpoison_bench.false_alarms.tables import page
from unpoison_bench.false_alarms.triggers import TRIGGERS, make_attack
from unpoison_bench.names import HALF_NAMES

MACHINE = {
    "date": "2026-01-02T03:04:05+00:00", "platform": "Linux", "torch": "2", "unpoison": "0", "cpu_count": 2,
    "torch_threads": 1, "load_average": 0.5, "device_name": "a CPU", "commit": "0123456789abcdef", "dirty": False,
    "cpu_capability": "AVX2", "precision": "fp32",
}  # fmt: skip
NOTHING = {"count": 0, "error": None, "error_nothing": None}
needs_images = pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA is unset: no real images")


def a_set(name="digits-parity", **measures):
    """Measures of a set without poison that took no harm."""
    return {
        "set": name, "half": "develop", "noisy": False, "attacks": [], "samples": 100, "classes": 2, "clean_flagged": 0,
        "clean_flagged_share": 0.0, "worst_class_altered_share": 0.0, "clean_kinds": {"backdoor": 0, "mislabelled": 0},
        "restored": dict.fromkeys(("backdoor", "mislabelled", "all", "clean"), NOTHING), "cpu_seconds": 5.4,
        "wall_seconds": 6.2, "machine": MACHINE, **measures,
    }  # fmt: skip


def noisy(share, **measures):
    return a_set("cifar10n-3000-a", noisy=True, flagged_wrong_share=share, called_backdoor=0, wrong=9, **measures)


def poisoned(name="digits-10x60+badnets-5", **measures):
    found = {"tpr": 1.0, "fpr": 0.0, "asr_input": 0.9, "asr_output": 0.01}
    return a_set(name, attacks=["badnets"], **{**found, **measures})


def verdict(part, *sets):
    (bar,) = [bar for bar in bars(sets) if part in bar.demand]
    return bar


# The list


@pytest.mark.parametrize("half", HALF_NAMES)
def test_each_half_has_enough_sets_of_each_kind(half):
    cases = choose_cases(half)
    assert sum(case.poison is None for case in cases) >= 30
    assert sum(case.poison is not None for case in cases) >= 15
    assert {case.draw.source for case in cases} == {"cifar10", "gtsrb", "digits", "celeba", "clothing"}
    for kind in ("merged", "grey", "grey_classes", "flat", "tracks", "longest"):
        assert any(getattr(case.draw, kind) for case in cases), kind
    assert any(case.draw.series > 1 for case in cases)
    assert any(case.noisy for case in cases)
    assert {case.draw.side for case in cases} >= {32, 48, 64}
    assert any(len(case.poison.attacks) == 2 for case in cases if case.poison)
    attacks = {name for case in cases if case.poison for name in case.poison.attacks}
    assert attacks >= {"badnets", "blend", "sig", "wanet", "badnets_dynamic", "reflections"}


def test_every_set_is_possible():
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        counts = case.draw.counts
        assert isinstance(counts, int) or len(counts) == len(case.draw.classes)
        if case.draw.merged:
            assert sorted(sum(case.draw.merged, ())) == sorted(case.draw.classes)
        if case.poison:
            assert set(case.poison.attacks) <= set(TRIGGERS)
            assert case.name.endswith(f"+{'+'.join(case.poison.attacks)}-{100 * case.poison.rate:g}")
            assert 0 <= case.poison.target < (len(case.draw.merged or case.draw.classes) or 10)


def test_the_halves_share_no_part_of_a_file_and_no_seed():
    rows = {half: {(case.draw.source, *case.draw.rows) for case in choose_cases(half)} for half in HALF_NAMES}
    for source, first, end in rows["develop"]:
        for other, start, stop in rows["unseen"]:
            assert source != other or end <= start or stop <= first
    seeds = {half: {case.draw.seed for case in choose_cases(half)} - {None} for half in HALF_NAMES}
    assert not seeds["develop"] & seeds["unseen"]


@needs_images
def test_no_image_of_an_unseen_set_is_in_one_to_develop_on():
    drawn = {half: set() for half in HALF_NAMES}
    for case in CASES:
        rows = draw_rows(case.draw)
        assert 400 <= len(rows) * case.draw.series <= 20_000
        assert len(np.unique(rows)) == len(rows)
        drawn[case.half] |= {(case.draw.source, row) for row in rows.tolist()}
    assert drawn["develop"]
    assert not drawn["develop"] & drawn["unseen"]


def test_the_documents_count_the_sets():
    root = Path(__file__).parents[2]
    section = (root / "benchmarks" / "README.md").read_text().partition("## False alarms")[2].partition("\n## ")[0]
    counts = np.array([row.groups() for row in re.finditer(r"\| (\d+) \| (\d+) \|$", section, re.M)], int)
    assert counts.sum(0).tolist() == [len(choose_cases(half)) for half in HALF_NAMES]
    without = sum(case.poison is None for case in CASES)
    told = f"{without} sets without poison and {len(CASES) - without} with it"
    assert told in (root / "CHANGELOG.md").read_text()


def test_sets_are_chosen_by_pattern():
    assert [case.name for case in choose_cases("unseen", ["digits-*"])] == [
        case.name for case in choose_cases("unseen") if case.name.startswith("digits-")
    ]
    assert get_case("digits-parity").half == "develop"
    with pytest.raises(ConfigError, match="no set matches: choose among cifar10-5x300-a"):
        choose_cases("develop", ["digits-low-high"])


# Their data


def test_digits_are_merged_and_their_test_images_left_out():
    case = get_case("digits-parity")
    data = load(case)
    assert data.given.images.shape == (850, 8, 8, 1)
    assert np.bincount(data.given.labels).tolist() == [425, 425]
    assert not data.poisoned.any()
    assert not data.wrong.any()
    seen = {image.tobytes() for image in data.given.images}
    test = load_test(case, (8, 8, 1))
    assert len(test) == 50
    assert set(test.labels.tolist()) == {0, 1}
    assert not any(image.tobytes() in seen for image in test.images)


def test_seed_moves_the_poison_and_nothing_else():
    case = get_case("digits-10x60+badnets-5")
    first, second = load(case), load(case, seed=1)
    assert first.poisoned.sum() == second.poisoned.sum() == 30
    assert (first.poisoned != second.poisoned).any()
    assert (first.originals.images == second.originals.images).all()
    changed = (first.given.images != first.originals.images).any((1, 2, 3))
    assert not changed[~first.poisoned].any()
    assert (first.given.labels[first.poisoned] == 0).all()


def test_too_few_images_are_an_error():
    with pytest.raises(DatasetError, match="digits has 90 images of class 0 in rows 0 to 900, 91 are needed"):
        draw_rows(Draw(source="digits", rows=(0, 900), classes=(0,), counts=91))


def test_near_duplicates_differ_a_little():
    draws = Draw(source="digits", rows=(0, 900), classes=(3, 5), counts=5, series=4, seed=0)
    drawn = draw(Case(name="series", half="develop", draw=draws))
    assert drawn.labels.reshape(10, 4).std(1).max() == 0
    images = np.stack([np.asarray(picture) for picture in drawn.pictures]).astype(int).reshape(10, 4, 8, 8)
    assert len(np.unique(images.reshape(40, -1), axis=0)) == 40
    # A shift moves strokes: images of one series are nearer to each other than to those of the other series.
    within = np.abs(images[:, 0] - images[:, 1]).mean()
    assert within < np.abs(images[:-1, 0] - images[1:, 0]).mean()


@needs_images
def test_colours_and_flat_images():
    images = load(get_case("cifar10-flat-grey")).given.images
    assert ((images == 128).all((1, 2, 3))).sum() == 45
    data = load(get_case("cifar10-mixed-grey"))
    assert _grey(data.given.images).mean() == pytest.approx(0.5, abs=0.02)
    data = load(get_case("cifar10-grey-class"))
    assert _grey(data.given.images)[data.given.labels == 1].all()
    assert _grey(data.given.images)[data.given.labels != 1].mean() < 0.05


def _grey(images):
    return (images == images[..., :1]).all((1, 2, 3))


@needs_images
def test_labels_that_people_gave():
    data = load(get_case("cifar10n-2000-b"))
    assert len(data.given) == 2000
    # 9 % of these labels are known to be wrong.
    assert data.wrong.mean() == pytest.approx(0.09, abs=0.03)
    data = load(get_case("cifar10n-3000-a+badnets-2"))
    assert not (data.wrong & data.poisoned).any()


@needs_images
def test_tracks_come_whole():
    rows = draw_rows(get_case("gtsrb-tracks").draw)
    names = np.array(read_names("gtsrb", "train"))
    tracks = {name.rpartition("_")[0] for name in names[rows].tolist()}
    # 1,500 single images out of these classes' 600 tracks would come from many more than those of 30 frames each.
    assert len(rows) / len(tracks) > 10


@needs_images
def test_faces_by_attribute_and_size():
    data = load(get_case("celeba-male-young-32"))
    assert data.given.images.shape == (1540, 32, 32, 3)
    assert np.bincount(data.given.labels).tolist() == [190, 500, 350, 500]
    sizes = {draw(get_case(name)).pictures[0].size for name in ("celeba-hat-64", "celeba-blond-bangs-48")}
    assert sizes == {(64, 64), (48, 48)}


@needs_images
def test_photographs_keep_their_proportions_and_modes():
    data = load(get_case("clothing-legs-others-grey-64"))
    assert isinstance(data.given, Photographs)
    pictures = data.given.pictures
    assert len({picture.size for picture in pictures}) > 3
    assert {max(picture.size) for picture in pictures} == {64}
    assert np.mean([picture.mode == "L" for picture in pictures]) == pytest.approx(0.4, abs=0.01)
    shape = working_shape(data.given)
    assert of_shape(data.given, shape).images.shape == (520, *shape)
    assert shape[2] == 3


@needs_images
def test_poisoned_photographs():
    data = load(get_case("clothing-5x90-64+badnets-6"))
    (place, *_), sizes = np.flatnonzero(data.poisoned), {picture.size for picture in data.given.pictures}
    given, original = (np.asarray(one[place][0]).astype(int) for one in (data.given, data.originals))
    assert given.shape == original.shape
    assert (given[-3:, -3:] == 255).all()
    assert (given[:-3] == original[:-3]).all()
    assert data.given[place][1] == 3
    assert len(sizes) > 1


@needs_images
def test_test_images_of_the_halves_are_different():
    halves = [get_case(name) for name in ("cifar10-10x300-a", "cifar10-10x280-e")]
    one, other = ({picture.tobytes() for picture in draw_test(case).pictures} for case in halves)
    assert len(one) == len(other) == 600
    assert not one & other
    assert source_size("cifar10", "test") == 10_000


@needs_images
@pytest.mark.parametrize("name", [name for name in TRIGGERS if name not in ("issba", "composite", "adaptive_blend")])
def test_triggers_show_and_are_the_same_every_time(name):
    attack = make_attack(name)
    images = np.random.default_rng(0).integers(60, 200, (6, 32, 32, 3), dtype=np.uint8)
    stamped = attack(images)
    assert (stamped != images).any((1, 2, 3)).all()
    assert (make_attack(name)(images) == stamped).all()
    clean_label = {"sig", "refool", "reflections", "sine_mask", "narcissus"}
    assert attack.clean_label == (name in clean_label or name.endswith("clean_label"))


@needs_images
def test_published_triggers_lie_where_they_belong():
    images = np.full((1, 32, 32, 3), 100, np.uint8)
    changed = {
        name: (make_attack(name)(images) != images).any(3)[0] for name in ("trojan_square", "bomb", "firefox_corner")
    }
    assert not changed["trojan_square"][:16].any()
    assert changed["bomb"][24:, 24:].any()
    assert not changed["bomb"][:24].any()
    assert not changed["firefox_corner"][16:].any()
    weak = make_attack("narcissus")
    strong = weak.at_test(images, np.zeros(1, np.int64))
    assert np.abs(strong(images).astype(int) - 100).max() > np.abs(weak(images).astype(int) - 100).max()
    with pytest.raises(DatasetError, match=r"made for images of \[32, 32, 3\]"):
        make_attack("low_frequency")(np.zeros((1, 16, 16, 3), np.uint8))


def test_missing_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("UNPOISON_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=r"cifar10/train\.parquet"):
        make_attack("hello_kitty")
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "train.parquet").touch()
    with pytest.raises(DatasetError, match=r"triggers/backdoorbench_blended/hello_kitty\.jpeg"):
        make_attack("hello_kitty")


# Measures


def test_harm_counts_clean_samples_only(cleaning):
    nobody = np.zeros(6, bool)
    harm = measuring.harm(cleaning.report, cleaning.poisoned, nobody)
    assert (harm["clean"], harm["clean_flagged"], harm["clean_flagged_share"], harm["clean_altered"]) == (2, 1, 0.5, 1)
    assert (harm["worst_class"], harm["worst_class_altered_share"]) == (1, 0.5)
    wrong = np.arange(6) == 4
    harm = measuring.harm(cleaning.report, cleaning.poisoned, wrong)
    assert (harm["clean"], harm["clean_flagged"], harm["worst_class_altered_share"]) == (1, 0, 0.0)


def test_worst_class_counts_drops(cleaning):
    # Without any poison, class 0 has 0..3, of which three are altered, class 1 has 4 and 5, of which one is.
    harm = measuring.harm(cleaning.report, np.zeros(6, bool), np.zeros(6, bool))
    assert (harm["worst_class"], harm["worst_class_altered_share"]) == (0, 0.75)


def test_noise_counts_what_is_flagged_apart_from_poison(cleaning):
    kinds = np.array(["backdoor", "mislabelled", "mislabelled", "", "backdoor", ""])
    wrong, poison = np.arange(6) == 1, np.arange(6) == 0
    found = measuring.noise(dataclasses.replace(cleaning.report, kind=kinds), poison, wrong)
    assert (found["wrong"], found["wrong_flagged"], found["called_backdoor"]) == (1, 1, 1)
    assert found["flagged_wrong_share"] == pytest.approx(1 / 3)


def test_errors_are_over_whole_images_and_by_kind(cleaning):
    report = dataclasses.replace(cleaning.report, kind=np.array(["backdoor", *["mislabelled"] * 5]))
    data = Loaded(cleaning.originals, cleaning.given, cleaning.poisoned, np.zeros(6, bool), [])
    restored = {place: cleaning.served.images[served] for place, served in ((0, 0), (1, 1), (4, 3))}
    errors = measuring.restored_errors(data, report, restored)
    assert [errors[name]["count"] for name in ("backdoor", "mislabelled", "all", "clean")] == [1, 1, 2, 1]
    assert errors["backdoor"]["error"] == pytest.approx(10 / 255 / 64)
    assert errors["mislabelled"]["error"] == pytest.approx(30 / 255 / 64)
    assert errors["all"]["error_nothing"] == pytest.approx(100 / 255 / 64)
    assert errors["clean"]["error"] == 0


def test_one_tiny_poisoned_set():
    draws = Draw(source="digits", rows=(0, 900), classes=(0, 1, 2, 3), counts=60)
    case = Case(name="tiny", half="develop", draw=draws, poison=Poison(attacks=("badnets",), rate=0.1, target=1))
    job = measuring.Job(case=case, method="pdautor", preset="fast", device="cpu", seed=0, downstream=True)
    measured = json.loads(json.dumps(measuring.measure(job)))
    assert (measured["set"], measured["samples"], measured["classes"], measured["poisoned"]) == ("tiny", 240, 4, 24)
    assert measured["clean"] == 216
    assert measured["clean_flagged"] == round(measured["fpr"] * 216)
    assert measured["restored"]["all"]["count"] == round(measured["restored_share"] * 24)
    for name in ("average_precision", "tpr", "asr_input", "asr_output", "unstamped_input", "accuracy_output"):
        assert 0 <= measured[name] <= 1
    assert measured["asr_input"] > measured["unstamped_input"]
    assert measured["cpu_seconds"] > 0
    assert 0 < sum(measured["timings"].values()) <= measured["wall_seconds"]
    assert measured["machine"]["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert "| tiny | 240 | 4 | 24 |" in page("tiny", [measured], 1)


# Bars and page


def test_sets_without_harm_meet_all_bars():
    restored = {**a_set()["restored"], "backdoor": {"count": 3, "error": 0.01, "error_nothing": 0.02}}
    found = bars([a_set(), noisy(0.75), poisoned(restored=restored)])
    assert len(found) == 9
    assert all(bar.met and bar.line.endswith("**met**") for bar in found)
    assert all(bar.line.endswith("**not measured**") for bar in bars([poisoned(asr_input=0.4)]))


@pytest.mark.parametrize(
    ("part", "sets", "line"),
    [
        ("0.5 %", [a_set(clean_flagged_share=0.0071)], "0.71 % in digits-parity, the worst of 1: **missed by 0.21 poi"),
        ("0.1 %", [a_set(clean_flagged_share=0.002)] * 3, "3 of 3: **missed by 2 sets**"),
        ("of a class", [a_set(), a_set("x", worst_class_altered_share=0.05)], "in x, the worst of 2: **missed by 3.00"),
        ("70 %", [noisy(0.9), noisy(0.4)], "40.00 % in cifar10n-3000-a, the worst of 2: **missed by 30.00 points"),
        ("backdoor", [{**noisy(0.9), "called_backdoor": 4}], "**missed by 4 samples**"),
        ("TPR", [poisoned(tpr=0.8), poisoned()], "90.00 % of 2 sets: **missed by 5.00 points**"),
        ("FPR", [poisoned(fpr=0.004)], "**missed by 0.20 points there, in 1 of 1 sets**"),
        ("ASR", [poisoned(asr_output=0.35)], "**missed by 25.00 points"),
    ],
)
def test_bars_say_by_how_much_they_are_missed(part, sets, line):
    bar = verdict(part, *sets)
    assert bar.met is False
    assert line in bar.line


def test_restored_images_must_not_be_worse_in_any_kind():
    good, bad = ({"count": 3, "error": error, "error_nothing": 0.02} for error in (0.01, 0.03))
    restored = {"backdoor": good, "mislabelled": bad, "all": good, "clean": bad}
    bar = verdict("restored", poisoned("x", restored=restored))
    assert not bar.met
    assert "1 of 2 are farther off, the worst by +0.01000 in x (mislabelled)" in bar.line


def test_what_the_network_does_not_obey_is_left_out():
    ignored, obeyed = poisoned(asr_input=0.2, tpr=0.0, fpr=0.5, asr_output=0.2), poisoned()
    assert all(verdict(part, ignored, obeyed).met for part in ("TPR", "FPR", "ASR"))
    del ignored["asr_input"]
    assert verdict("TPR", ignored).line.endswith("**not measured**")
    assert verdict("70 %", noisy(None)).met


def test_one_set_of_thirty_may_have_a_few_flagged():
    few = a_set(clean_flagged_share=0.003)
    assert verdict("1 of 30", few, *[a_set()] * 29).met
    assert not verdict("1 of 30", few, few, *[a_set()] * 28).met
    assert verdict("1 of 30", few, few, *[a_set()] * 58).met
    assert harmed([a_set(clean_flagged=2), a_set()]) == "- sets with any harm: 1 of 2, 50.0 %"


def test_page_shows_each_kind_of_set_and_gaps():
    flagged = a_set(clean_flagged_share=0.0049, clean_kinds={"backdoor": 3, "mislabelled": 1})
    no_networks = poisoned(average_precision=0.987)
    del no_networks["asr_input"], no_networks["asr_output"]
    text = page("False alarms", [flagged, noisy(0.9, wrong_flagged=7), no_networks], 60)
    assert "3 of 60 sets are measured" in text
    assert "| digits-parity | 100 | 2 | 0.49 % | 0 | 0.00 % | 3 backdoor, 1 mislabelled | 5 | 6 |" in text
    assert "| cifar10n-3000-a | 100 | 2 | 9 | 7 | 90.0 % | 0 |" in text
    assert "| 0.987 | 100.0 % | 0.00 % | 0.00 % | – | – |" in text
    assert text.count("0123456789ab; AVX2, fp32") == 1
    assert "None" not in text
    assert "With poison" not in page("False alarms", [flagged], 60)


# Running


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The folder of results, in which one set is measured; nothing is measured again."""

    def started(*arguments):
        raise AssertionError("a set was measured again")

    monkeypatch.setattr(processes.multiprocessing, "get_context", started)
    folder = tmp_path / "false-alarms-pdautor-default-cpu-seed0" / "develop"
    folder.mkdir(parents=True)
    for one in (a_set(), poisoned()):
        (folder / f"{one['set']}.json").write_text(json.dumps(one))
    return folder


def test_measured_sets_are_skipped(measured):
    lines = []
    out = measured.parents[1]
    assert running.run_false_alarms("develop", ["digits-parity"], out, say=lines.append) == measured
    assert lines[0].startswith("1 of 1 sets are done already, 0 to go")
    assert "| digits-parity |" in running.page_file(measured).read_text()
    with pytest.raises(AssertionError, match="measured again"):
        running.run_false_alarms("develop", ["digits-parity"], out, force=True)


def test_sets_that_lack_networks_are_measured_again(measured):
    rows, out = ["digits-10x60+badnets-5"], measured.parents[1]
    without = poisoned()
    del without["asr_input"]
    running.run_false_alarms("develop", rows, out)
    (measured / f"{rows[0]}.json").write_text(json.dumps(without))
    running.run_false_alarms("develop", rows, out, downstream=False)
    with pytest.raises(AssertionError, match="measured again"):
        running.run_false_alarms("develop", rows, out)


@pytest.mark.parametrize(
    "wrong", [{"rows": ["nothing"]}, {"preset": "slow"}, {"device": "abacus"}, {"method": "magic"}, {"jobs": 0}]
)
def test_what_is_unknown_is_refused(tmp_path, wrong):
    with pytest.raises(ConfigError):
        running.run_false_alarms("develop", out=tmp_path, **wrong)


def test_command_prints_page_or_json(measured, capsys):
    arguments = ["bench", "false-alarms", "--rows", "digits-parity", "--out", str(measured.parents[1])]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("# False alarms, half develop: pdautor, preset default, seed 0")
    assert "1 of 1 sets are done" in shown.err
    assert main([*arguments, "--json", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert [one["set"] for one in json.loads(shown.out)] == ["digits-parity", "digits-10x60+badnets-5"]
    assert not shown.err


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["core", "--half", "unseen"], "half"),
        (["bab", "--method", "bab"], "method"),
        (["ours", "--half", "develop"], "half"),
        (["ours", "--method", "bab"], "method"),
        (["false-alarms", "--scale", "smoke"], "scale"),
    ],
)
def test_command_refuses_options_of_others(words, option, capsys):
    assert main(["bench", *words]) == 2
    assert f"--{option} is not for {words[0]}: leave it out" in capsys.readouterr().err


def test_command_measures_a_real_set(tmp_path, capsys):
    arguments = ["bench", "false-alarms", "--rows", "digits-imb*", "--preset", "fast", "--jobs", "2", "--seed", "3"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert f"1 of {len(choose_cases('develop'))} sets are measured" in capsys.readouterr().out
    (file,) = tmp_path.rglob("*.json")
    assert file.parts[-3:] == ("false-alarms-pdautor-fast-cpu-seed3", "develop", "digits-imbalanced-17.json")
    measured = json.loads(file.read_text())
    assert (measured["samples"], measured["classes"], measured["half"], measured["seed"]) == (403, 8, "develop", 3)
    assert "asr_input" not in measured
    assert any("smallest class has 5 images" in text for text in measured["warnings"])


def test_pictures_in_one_shape():
    pictures = [Image.new("L", (4, 6), 9), Image.new("RGB", (8, 6), (1, 2, 3)), Image.new("RGB", (8, 8), (1, 2, 3))]
    data = Photographs(pictures, np.arange(3))
    assert working_shape(data) == (6, 8, 3)
    images = of_shape(data, (6, 8, 3)).images
    assert (images[0] == 9).all()
    assert (images[1] == [1, 2, 3]).all()
