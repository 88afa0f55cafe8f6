"""Threads follow what the machine has free, while training runs, and come back afterwards."""

from types import SimpleNamespace

import pytest
import torch

from unpoison.training import threads
from unpoison.training.backbones import create_backbone
from unpoison.training.loop import TrainingConfig, predict, train
from unpoison.training.threads import follow_load, free_cores


class Machine:
    """Four cores, a clock that its users move, and a process that others may disturb."""

    def __init__(self):
        self.now = self.busy = self.own = 0.0
        self.others = 0.0
        """Cores that other processes take."""
        self.threads = self.most = 4

    def sleep(self, seconds):
        self.now += seconds
        self.busy += self.others * seconds

    def work(self, seconds):
        """This process computes on all of its threads, as far as the cores allow it."""
        used = min(self.threads, 4 - self.others)
        self.now += seconds
        self.own += used * seconds
        self.busy += (used + self.others) * seconds

    def set_num_threads(self, count):
        self.threads = count


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    process = SimpleNamespace(cpu_times=lambda: SimpleNamespace(user=machine.own, system=0.0))

    class Times(tuple):
        idle = 0.0

    monkeypatch.setattr(threads.psutil, "Process", lambda: process)
    monkeypatch.setattr(threads.psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(threads.psutil, "cpu_times", lambda: Times((machine.busy,)))
    monkeypatch.setattr(threads.time, "monotonic", lambda: machine.now)
    monkeypatch.setattr(threads.time, "sleep", machine.sleep)
    monkeypatch.setattr(torch, "get_num_threads", lambda: machine.threads)
    monkeypatch.setattr(torch, "set_num_threads", machine.set_num_threads)
    return machine


@pytest.mark.parametrize(("others", "expected"), [(0, 4), (0.3, 4), (1, 3), (3, 1), (4, 1)])
def test_starts_with_the_free_cores(machine, others, expected):
    machine.others = others
    with free_cores():
        assert machine.threads == expected
    assert machine.threads == 4


def test_follows_the_load_within_the_block(machine):
    with free_cores():
        assert machine.threads == 4
        machine.others = 3
        machine.work(2)
        follow_load()
        assert machine.threads == 1
        machine.others = 0
        machine.work(2)
        follow_load()
        assert machine.threads == 4  # its own work is not load
    assert machine.threads == 4


def test_looks_once_a_second(machine):
    with free_cores():
        machine.others = 3
        machine.work(0.5)
        follow_load()
        assert machine.threads == 4


def test_never_exceeds_what_the_user_has_set(machine):
    machine.threads = 2
    with free_cores():
        assert machine.threads == 2
    assert machine.threads == 2


def test_does_nothing_outside_of_the_block(machine):
    machine.others = 4
    machine.work(2)
    follow_load()
    assert machine.threads == 4


def test_training_and_prediction_follow_the_load(monkeypatch):
    calls = []
    monkeypatch.setattr("unpoison.training.loop.follow_load", lambda: calls.append(1))
    images, labels = torch.zeros(40, 8, 8, 1, dtype=torch.uint8), torch.arange(40) % 2
    model = create_backbone("conv5", 1, 2, 2)
    list(train(model, images, labels, TrainingConfig(epochs=2, batch_size=10)))
    assert len(calls) == 8
    predict(model, images)
    assert len(calls) == 9
