"""Runs of a property over many changes: a few, the same each time, or with FUZZ_MINUTES new ones for so long."""

import os
import time
from collections import Counter

import datasets
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import harmless

MINUTES = float(os.environ.get("FUZZ_MINUTES") or 0)
_AT_ONCE = 200
_counts: Counter[str] = Counter()
_seconds: Counter[str] = Counter()


def pytest_collection_modifyitems(items):
    for item in items:
        if "fuzz" in item.fixturenames:
            # What a broken file leaves open, the garbage collector closes.
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning"))


def pytest_terminal_summary(terminalreporter):
    if MINUTES and _counts:
        for name, count in sorted(_counts.items()):
            terminalreporter.write_line(f"{name}: {count:,} mutations, {_seconds[name]:.0f} s")
        terminalreporter.write_line(f"{sum(_counts.values()):,} mutations in all")


@pytest.fixture
def fuzz(request):
    """`fuzz(strategy, examples, use)` calls `use` with values of a strategy, each of which is a change to a file."""
    kinds = len({item.nodeid for item in request.session.items if "fuzz" in item.fixturenames})

    def run(strategy, examples, use):
        name, began = request.node.name.removeprefix("test_"), time.monotonic()

        def counted(case):
            _counts[name] += 1
            use(case)

        options = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
        if MINUTES:
            test = settings(max_examples=_AT_ONCE, **options)(given(case=strategy)(counted))
        else:
            phases = [Phase.explicit, Phase.generate]
            options |= {"derandomize": True, "database": None, "phases": phases}
            test = settings(max_examples=examples, **options)(given(case=strategy)(counted))
        try:
            with harmless.room():
                test()
                while time.monotonic() - began < 60 * MINUTES / kinds:
                    test()
        finally:
            _seconds[name] += time.monotonic() - began

    return run


@pytest.fixture
def hugging_face(tmp_path, monkeypatch):
    """A folder for what `datasets` writes."""
    folder = tmp_path / "hugging_face"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
    return folder
