"""`unpoison demo` hands its options on and prints the result."""

from pathlib import Path

import pytest

from unpoison.cli import main
from unpoison.demo import DemoResult
from unpoison.downstream import Downstream


@pytest.fixture
def demo_result(monkeypatch):
    result = DemoResult(
        samples=10, poisoned=3, found=2, false_alarms=1, restored=2, dropped=1, before=Downstream(0.9, 0.8),
        after=Downstream(0.9, 0.1), report=Path("r"), shards=Path("s"),
    )  # fmt: skip
    calls = []

    def fake(out, **settings):
        calls.append((out, settings))
        return result

    monkeypatch.setattr("unpoison.demo.run_demo", fake)
    return result, calls


def test_text(demo_result, tmp_path, capfd):
    result, calls = demo_result
    assert main(["demo", "--out", str(tmp_path / "there"), "--seed", "3", "--device", "cpu", "--quiet"]) == 0
    assert capfd.readouterr().out == result.as_text() + "\n"
    assert calls == [(tmp_path / "there", {"device": "cpu", "seed": 3, "progress": False})]


def test_json(demo_result, command):
    facts, _ = command("demo")
    assert facts["after"] == {"accuracy": 0.9, "attack_success_rate": 0.1}
    assert demo_result[1][0][1]["progress"] is None
