"""Facts about the machine and the code, to be kept with every measurement."""

import datetime
import importlib.metadata
import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import unpoison
from unpoison.training.precision import precision_of

PACKAGE = Path(unpoison.__path__[0])
MB = 1e6


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Machine, versions, commit and date, as JSON values; the load average is that of now."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "unpoison": importlib.metadata.version("unpoison"),
        "cpu_count": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "precision": precision_of(device),
        "torch_threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        **_commit(),
    }


def peak_memory_mb() -> float:
    """The largest resident size of this process so far, in MB (10^6 bytes)."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def cpu_seconds() -> float:
    """Of this process so far, and of those that it has started and that ended."""
    return sum(os.times()[:4])


def _processor() -> str:
    """The processor's name as Linux gives it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> dict[str, Any]:
    """The commit of the running code and whether the code differs from it; nulls outside a checkout."""
    # A package that is installed below some other repository must not report that one's commit.
    tracked = _git("ls-files", "--error-unmatch", "__init__.py") is not None
    commit = _git("rev-parse", "HEAD") if tracked else None
    return {"commit": commit, "dirty": None if commit is None else bool(_git("status", "--porcelain", "."))}


def _git(*arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run([git, *arguments], cwd=PACKAGE, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else None
