"""Ctrl-C at any moment: one line says what is kept, nothing is left in the way, the same command goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import corner
from unpoison import Report
from unpoison.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")

PROGRAM = """
import signal
import sys
from time import sleep

# Shells start jobs in the background with this signal ignored, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {tests!r})
import corner, unpoison.sanitizer as sanitizer
import unpoison.publishing as publishing, unpoison.working_copy as working_copy
from unpoison.cli import main

def wait(*_, **__):
    print("now", flush=True)
    sleep(60)

{moment}
sys.exit(main({arguments!r}))
"""

MOMENTS = {
    "read": ("working_copy.survey = wait", "keeps nothing of this run yet: the same again starts anew"),
    "store": (
        """
def build(view, found, folder, **_):
    (folder / "half").touch()
    wait()
working_copy.ImageStore.build = build
""",
        "keeps nothing of this run yet",
    ),
    "detect": (
        "corner.is_flagged = wait",
        "keeps the working copy of the images, which images are copies: run",
    ),
    "shards": (
        """
from unpoison.data.shards import write_shards
class Bar:
    calls = 0
    def update(self, fraction):
        self.calls += 1
        if self.calls == 2:
            wait()
publishing.write_shards = lambda *args, facts, bar: write_shards(*args, facts=facts, per_shard=5, bar=Bar())
""",
        "keeps the working copy of the images, what was detected and restored, 2 finished shards: run",
    ),
    "copy": ("sanitizer.shutil.copyfile = wait", "keeps the whole result: run"),
}


def interrupted(arguments, moment):
    """Runs the command in a process of its own until a moment, interrupts it as a terminal does; returns its stderr."""
    tests = str(Path(corner.__file__).parent)
    program = PROGRAM.format(tests=tests, moment=moment, arguments=arguments)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout.readline() == "now\n"
        os.killpg(process.pid, signal.SIGINT)
        printed, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert printed == ""
    return errors


@pytest.mark.parametrize("moment", MOMENTS)
def test_clean_goes_on(moment, images_and_labels, tmp_path, cache, monkeypatch):
    source = str(corner.image_folder(*images_and_labels, tmp_path / "photos").root)
    command = ["clean", source, str(tmp_path / "out"), "--method", "corner"]
    patch, kept = MOMENTS[moment]
    (line,) = interrupted(command, patch).splitlines()
    assert line.startswith("unpoison: interrupted; the cache folder ")
    assert kept in line
    assert str(cache) in line
    assert not list(tmp_path.rglob("*.tmp"))

    detected = []
    is_flagged = corner.is_flagged
    monkeypatch.setattr(corner, "is_flagged", lambda images: detected.append(1) or is_flagged(images))
    assert main(command) == 0
    # What is said to be kept is not done again.
    assert bool(detected) == ("detected" not in kept and "whole" not in kept)
    monkeypatch.setenv("UNPOISON_CACHE", str(tmp_path / "other"))
    assert main(["clean", source, str(tmp_path / "undisturbed"), "--method", "corner"]) == 0
    if moment != "shards":  # these were cut smaller for the test
        assert shards(tmp_path / "out") == shards(tmp_path / "undisturbed")
    first, second = (Report.load(tmp_path / name) for name in ("out", "undisturbed"))
    for name in ("score", "flagged", "action", "label", "quality"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.glob("shard-*.tar")}


def test_demo_after_cleaning(tmp_path):
    moment = """
import unpoison.demo as demo
class Cleaned:
    shards = [Path(PLACE) / "runs" / "key" / "shards" / "shard-00000.tar"]
    report = type("Report", (), {"config": {"device": "cpu"}})
    prepare = lambda self: self
demo.SanitizedDataset = lambda *_, **__: Cleaned()
demo.train_and_test = wait
(Cleaned.shards[0].parents[1] / "outcome").mkdir(parents=True)
"""
    moment = f"from pathlib import Path; PLACE = {str(tmp_path)!r}{moment}"
    (line,) = interrupted(["demo", "--out", str(tmp_path)], moment).splitlines()
    assert f"{tmp_path} keeps what was detected and restored: run" in line


def test_bench_names_its_folder(tmp_path):
    moment = "import unpoison_bench.runner as runner; runner.run_experiment = wait"
    line = interrupted(["bench", "ours", "--out", str(tmp_path)], moment)
    assert line.startswith("unpoison: interrupted; what was measured is kept in")
    assert str(tmp_path) in line
