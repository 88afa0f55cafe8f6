"""The page of a half."""

from bench_results import a_set, noisy, poisoned
from unpoison_bench.false_alarms.tables import page


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
