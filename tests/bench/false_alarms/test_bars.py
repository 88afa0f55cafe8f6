"""What the benchmark asks for."""

import pytest

from bench_results import a_set, noisy, poisoned
from unpoison_bench.false_alarms.bars import bars, harmed


def verdict(part, *sets):
    (bar,) = [bar for bar in bars(sets) if part in bar.demand]
    return bar


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
