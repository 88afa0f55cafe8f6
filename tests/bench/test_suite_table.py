"""The table of `core` and `bab`."""

from bench_results import a_row
from unpoison_bench.suite_table import table


def test_table_shows_figures_and_gaps():
    first = a_row("cifar10-badnets-1", tpr=0.98765, fpr=0.00012, error_changed=0.03456, asr_input=None)
    second = a_row("cifar10-badnets-1-paper", tpr=0.5) | {"deviations": ["fewer epochs"]}
    text = table("core", [first, second])
    assert "| cifar10-badnets-1 | – | – | – | 98.8 % | 0.01 % | – | – | – |" in text
    assert "0.0346" in text
    assert "- fewer epochs (cifar10-badnets-1-paper)" in text
    assert text.count("commit 0123456789ab;") == 1
    assert "nan" not in text
    assert "None" not in text
