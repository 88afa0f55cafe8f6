"""SanitizedDataset in every kind of process: workers, ranks, threads, and after a crash."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import corner
from unpoison import SanitizedDataset

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_prepared_workers(context, pairs):
    served = SanitizedDataset(pairs, "corner").prepare()
    loader = DataLoader(served, batch_size=6, num_workers=2, multiprocessing_context=context, collate_fn=corner.collate)
    got = [image for batch in loader for image in batch]
    np.testing.assert_array_equal(got, [np.array(image) for image, _ in served])


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_first_access_in_a_worker(context, pairs, tmp_path):
    log = tmp_path / "log"
    served = SanitizedDataset(pairs, "corner", config=corner.CornerConfig(log=str(log), delay=0.3))
    loader = DataLoader(
        corner.FirstAccess(served),
        batch_size=1,
        num_workers=2,
        multiprocessing_context=context,
        collate_fn=corner.first,
    )
    got = list(loader)
    assert [length for length, _ in got] == [23, 23]
    messages = [message for _, caught in got for message in caught]
    assert len(messages) == 1
    assert "prepare()" in messages[0]
    assert log.read_text() == "run\n"


PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {tests!r})
import corner
from unpoison import SanitizedDataset
images, labels = corner.make_images()
pairs = [(image, int(label)) for image, label in zip(images, labels)]
served = SanitizedDataset(pairs, "corner", config=corner.CornerConfig(log={log!r}, delay={delay}))
"""


def program(log, extra, delay=0.0):
    source = PROGRAM.format(tests=str(Path(__file__).parent), log=str(log), delay=delay) + extra
    return [sys.executable, "-c", source]


def array_pairs():
    images, labels = corner.make_images()
    return [(image, int(label)) for image, label in zip(images, labels, strict=True)]


def test_processes_at_once_build_once(tmp_path):
    log = tmp_path / "log"
    ranks = [
        subprocess.Popen(
            program(log, "print(len(served), served.shards[0])", delay=0.5),
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"},
            stdout=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    outputs = {rank.communicate(timeout=60)[0] for rank in ranks}
    assert all(rank.returncode == 0 for rank in ranks)
    assert len(outputs) == 1
    assert log.read_text() == "run\n"


def test_threads_build_once(pairs, tmp_path):
    log = tmp_path / "log"
    config = corner.CornerConfig(log=str(log), delay=0.2)
    objects = [SanitizedDataset(pairs, "corner", config=config) for _ in range(2)]
    threads = [threading.Thread(target=served.__len__) for served in [*objects, objects[0]]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.read_text() == "run\n"


KILL_IN_SHARDS = """
import os, signal, unpoison.publishing as publishing
from unpoison.data.shards import write_shards
class Bar:
    calls = 0
    def update(self, fraction):
        self.calls += 1
        if self.calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
publishing.write_shards = lambda *args, facts, bar: write_shards(*args, facts=facts, per_shard=5, bar=Bar())
served.prepare()
"""


KILL_IN_STORE = """
import os, signal
from unpoison.data.store import ImageStore
def open(folder):
    os.kill(os.getpid(), signal.SIGKILL)
ImageStore.open = open
served.prepare()
"""


@pytest.mark.parametrize(("extra", "runs"), [(KILL_IN_SHARDS, 1), (KILL_IN_STORE, 1)], ids=["shards", "store"])
def test_killed_and_resumed(extra, runs, tmp_path, cache, monkeypatch):
    import unpoison.publishing
    from unpoison.data.shards import write_shards

    log = tmp_path / "log"
    assert subprocess.run(program(log, extra), check=False, timeout=60).returncode == -9
    assert not list(cache.glob("runs/*/manifest.json"))
    finished = {path: path.stat().st_mtime_ns for path in cache.glob("runs/*/shards/*.tar")}
    monkeypatch.setattr(
        unpoison.publishing, "write_shards", lambda *args, **options: write_shards(*args, per_shard=5, **options)
    )
    served = SanitizedDataset(array_pairs(), "corner", config=corner.CornerConfig(log=str(log)))
    assert len(served) == 23
    assert len(served.shards) == 5
    assert log.read_text() == "run\n" * runs
    assert all(path.stat().st_mtime_ns == modified for path, modified in finished.items())
    assert len(finished) == (2 if extra is KILL_IN_SHARDS else 0)
    assert not list(cache.rglob("*.tmp"))
    np.testing.assert_array_equal(served[3][0], corner.repaired(corner.make_images()[0])[3])


KILL_IN_WORKERS = """
import os, signal
import numpy as np
from unpoison.data.access import RawView
from unpoison.data.workers import over_items
big = [(np.zeros((64, 64, 3), np.uint8), 0)] * 2500
items = over_items(RawView(big), np.arange(2500), lambda view, index: view.read(index).image, 2, None)
next(items)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_killed_parent(tmp_path):
    process = subprocess.Popen(program(tmp_path / "log", KILL_IN_WORKERS), start_new_session=True)
    assert process.wait(60) == -9
    for _ in range(100):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(process.pid, 9)
    pytest.fail("workers outlived their parent")


def gloo_rank(rank, port, cache, log, queue):
    warnings.simplefilter("ignore")
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo")
    served = SanitizedDataset(array_pairs(), "corner", config=corner.CornerConfig(log=log, delay=0.3), cache_dir=cache)
    sampler = torch.utils.data.DistributedSampler(served, shuffle=False)
    queue.put((rank, [int(served.source_index[i]) for i in sampler]))
    torch.distributed.destroy_process_group()


def test_gloo_ranks(tmp_path, cache):
    context, log = multiprocessing.get_context("fork"), tmp_path / "log"
    queue = context.Queue()
    port = 20000 + os.getpid() % 20000
    ranks = [context.Process(target=gloo_rank, args=(r, port, str(cache), str(log), queue)) for r in range(2)]
    for rank in ranks:
        rank.start()
    shares = dict(queue.get(timeout=60) for _ in ranks)
    for rank in ranks:
        rank.join()
    assert log.read_text() == "run\n"
    assert set(shares[0]) | set(shares[1]) == set(range(24)) - {corner.POISONED[-1]}
