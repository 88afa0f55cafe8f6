"""The log: silent unless asked for, and what it says."""

import logging
import subprocess
import sys

import pytest

from unpoison import SanitizedDataset


def test_silent_by_default():
    program = "import logging, unpoison; logging.getLogger('unpoison.sanitizer').error('x')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.filterwarnings("ignore::unpoison.errors.ThinEvidenceWarning")
def test_a_run_can_be_followed(pairs, caplog):
    caplog.set_level(logging.INFO, "unpoison")
    shards = SanitizedDataset(pairs, "corner").prepare().shards
    run = shards[0].parent.parent
    assert [record.getMessage() for record in caplog.records] == [
        "24 images of 3 classes, 8x8",
        "method corner on cpu, flagged images: restore",
        "3 of 24 images are suspicious",
        "3 of 24 flagged; kept 21, restored 2, dropped 1",
        f"the result lies in {run}",
    ]
    assert {record.name.partition(".")[0] for record in caplog.records} == {"unpoison"}
    caplog.clear()
    SanitizedDataset(pairs, "corner").prepare()
    assert caplog.messages[-1] == f"this was cleaned before: {run}"
