"""Facts about the code and the machine."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from unpoison_bench.machine import machine_facts


def test_the_commit_is_that_of_the_code_that_is_measured():
    root = Path(__file__).parents[2]
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("the code is not in a checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert machine_facts(torch.device("cpu"))["commit"] == head.strip()
