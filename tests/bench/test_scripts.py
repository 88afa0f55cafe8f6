"""What the free-standing scripts share."""

import json

from unpoison_bench.scripts import from_fresh_process, in_turn, medians, save, script_parser


def test_ways_are_timed_in_turn_after_a_round_that_warms_up():
    called, now = [], iter(range(100))
    ways = {name: lambda name=name: called.append(name) for name in ("one", "other")}
    assert in_turn(ways, 2, lambda: next(now)) == {"one": [1, 1], "other": [1, 1]}
    assert called == ["one", "other"] * 3
    assert medians({"one": [3, 1, 2]}) == {"one": 2}


def test_results_are_written_where_asked_for(tmp_path):
    parser = script_parser("What it measures.\n\nMore.", device=True)
    assert parser.description == "What it measures."
    save(parser.parse_args([]), {"x": 1})
    save(parser.parse_args(["--out", str(tmp_path / "x.json")]), {"x": 1})
    assert [json.loads(path.read_text()) for path in tmp_path.iterdir()] == [{"x": 1}]


def test_fresh_processes_print_json():
    assert from_fresh_process("-c", "import sys; print(len(sys.argv))", "one", "two") == 3
