"""Each stage is done once: whatever happens to the process, only the stage that it happened to is repeated."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unpoison import PDAutoRConfig, SanitizedDataset
from unpoison.attacks import BadNets, PoisonedDataset
from unpoison.data.labelled import LabelledImages
from unpoison.demo import load_digits
from unpoison.detection.config import FAST
from unpoison.stages import LocalExecutor
from unpoison.training.loop import TrainingConfig

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
STAGES = ["duplicates", "learn", "detect", "explain", "classify", "restore"]
CONFIG = PDAutoRConfig.preset("fast")
KILLED_AT_THE_END_OF_EACH = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from stages.test_local import STAGES, digits, noting
from unpoison import SanitizedDataset

def killed(stage):
    child = os.fork()
    if child == 0:
        executor = noting({log!r}, lambda done: done == stage and os.kill(os.getpid(), signal.SIGKILL))
        SanitizedDataset(digits(), config="fast", executor=executor, progress=False).prepare()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

# One process that imports, and a copy of it for each stage.
print([killed(stage) for stage in STAGES])
"""


def digits():
    data = load_digits()
    return PoisonedDataset(LabelledImages(data.images[:600], data.labels[:600]), BadNets(2), rate=0.1, target=0)


def noting(log, after=lambda stage: None):
    """An executor that writes down which stages it does."""

    class Noting(LocalExecutor):
        def work(self, stage, inputs, out, config, context):
            with Path(log).open("a") as file:
                file.write(f"{stage.name}\n")
            super().work(stage, inputs, out, config, context)
            after(stage.name)

    return Noting


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    return path


def done(log):
    names = log.read_text().split()
    log.write_text("")
    return names


def test_killed_in_every_stage(log, cache, first):
    program = KILLED_AT_THE_END_OF_EACH.format(tests=str(Path(__file__).parents[1]), log=str(log))
    # More threads than one do not survive a fork.
    told = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, capture_output=True, env=told)
    assert killed.stdout.decode().strip() == str([-9] * len(STAGES))
    # Each was begun twice, for it was lost once; none of those before it was begun again.
    assert done(log) == [stage for stage in STAGES for _ in range(2)][:-1]
    data = digits()
    resumed = SanitizedDataset(data, config="fast", executor=noting(log)).prepare()
    assert done(log) == ["restore"]
    assert not list(cache.rglob("*.tmp"))
    assert resumed.report.flagged[data.poisoned].mean() > 0.8
    undisturbed = SanitizedDataset(data, config="fast", cache_dir=first).prepare()
    sums = [(served.shards[0].parent / "SHA256SUMS").read_bytes() for served in (resumed, undisturbed)]
    assert sums[0] == sums[1]


@pytest.mark.parametrize(
    ("change", "repeated"),
    [
        ({"on_poison": "drop"}, ["restore"]),
        ({"keep": [0, 1]}, []),
        ({"max_altered": 0.01}, ["restore"]),
        ({"duplicates": "drop"}, []),
        ({"config": {"restoration": {"max_pull": 9.0}}}, ["restore"]),
        ({"config": {"detection": {"causal_rate": 0.5}}}, ["detect", "explain", "classify", "restore"]),
        ({"config": {"detection": {"width": 4}}}, STAGES[1:]),
        ({"seed": 1}, STAGES),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_only_what_must_is_repeated(change, repeated, log, first):
    if "config" in change:
        [(part, settings)] = change["config"].items()
        base = getattr(CONFIG, part)
        change = {"config": type(CONFIG)(**{**vars(CONFIG), part: type(base)(**{**vars(base), **settings})})}
    SanitizedDataset(digits(), executor=noting(log), cache_dir=first, **{"config": CONFIG, **change}).prepare()
    assert done(log) == repeated


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The cache folder of a run with nothing changed."""
    cache = tmp_path_factory.mktemp("first")
    SanitizedDataset(digits(), config=CONFIG, cache_dir=cache).prepare()
    return cache


def test_another_method_shares_what_was_learned(log, cache):
    training = TrainingConfig(epochs=1)
    SanitizedDataset(digits(), "scan", config=scan_config(training), executor=noting(log)).prepare()
    SanitizedDataset(digits(), "spectral", config=scan_config(training), executor=noting(log)).prepare()
    assert done(log) == ["duplicates", "learn", "ask", "restore", "ask", "restore"]


def scan_config(training):
    from unpoison.config import DetectorConfig

    return DetectorConfig(backbone=FAST.backbone, width=4, training=training)


def test_other_random_numbers_before_change_nothing(log, cache, tmp_path):
    import torch

    config = scan_config(TrainingConfig(epochs=1))
    torch.manual_seed(0)
    first = SanitizedDataset(digits(), "scan", config=config).prepare()
    torch.manual_seed(1)
    second = SanitizedDataset(digits(), "scan", config=config, cache_dir=tmp_path / "second").prepare()
    np.testing.assert_array_equal(first.report.score, second.report.score)


def test_errors_of_files_elsewhere_are_not_the_cache_folders(cache, tmp_path):
    """What a stage, or another executor, fails to open is named as it is."""

    class Broken(LocalExecutor):
        def work(self, stage, inputs, out, config, context):
            (tmp_path / "elsewhere" / "missing").read_bytes()

    with pytest.raises(FileNotFoundError, match="missing"):
        SanitizedDataset(digits(), executor=Broken).prepare()
