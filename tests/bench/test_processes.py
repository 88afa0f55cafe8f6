"""Units that are measured in processes of their own."""

import os
import time

import torch

from unpoison_bench import processes
from unpoison_bench.experiment import Unit
from unpoison_bench.results import read_json


def meet(folder):
    """Waits until it is called in two processes at a time."""
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    return {"met": len(list(folder.iterdir())), "threads": torch.get_num_threads()}


def test_jobs_run_side_by_side_and_share_the_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    place = tmp_path / "place"
    place.mkdir()
    lines = []
    units = [Unit(name, name, tmp_path / name, lambda: place, meet) for name in ("one", "two")]
    assert processes.measure_each(units, lines.append, jobs=2) == []
    for unit in units:
        assert read_json(unit.path) == {"met": 2, "threads": 1}
    assert ["1 left" in line for line in lines] == [True, False]


def moment(prepared):
    return {"prepared": prepared}


def test_a_unit_waits_for_the_one_that_it_reads(tmp_path, at_once):
    paths = [tmp_path / name for name in ("first", "second", "third")]
    units = [
        Unit("second", "second", paths[1], lambda: read_json(paths[0]), moment, after=paths[0]),
        Unit("first", "first", paths[0], lambda: 7, moment),
        # It reads what is not to be measured.
        Unit("third", "third", paths[2], lambda: None, moment, after=tmp_path / "other"),
    ]
    lines = []
    assert processes.measure_each(units, lines.append, jobs=3) == []
    assert read_json(paths[1]) == {"prepared": {"prepared": 7}}
    assert lines[-1].startswith("second")
