"""Results of benchmarks, made up."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

MACHINE = {
    "date": "2026-01-02T03:04:05+00:00", "platform": "Linux", "torch": "2", "unpoison": "0", "cpu_count": 2,
    "torch_threads": 1, "load_average": 0.5, "device_name": "a CPU", "commit": "0123456789abcdef", "dirty": False,
    "cpu_capability": "AVX2", "precision": "fp32",
}  # fmt: skip
needs_images = pytest.mark.skipif("UNPOISON_DATA" not in os.environ, reason="UNPOISON_DATA is unset: no real images")
CURVE = {"recall": [0.0, 0.5, 1.0], "precision": [1.0, 0.9, 0.2]}
NOTHING = {"count": 0, "error": None, "error_nothing": None}


def put(folder: Path, name: str, measures: dict[str, Any]) -> None:
    """Writes a result where a benchmark looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(measures))


def a_row(name: str, **measures: Any) -> dict[str, Any]:
    """Measures of a row of `core` or `bab`."""
    settings = {"preset": "default", "per_class": None}
    return {"row": name, "seed": 0, "deviations": [], "machine": MACHINE, "settings": settings, **measures}


def a_set(name: str = "digits-parity", **measures: Any) -> dict[str, Any]:
    """Measures of a set of `false-alarms` without poison that took no harm."""
    return {
        "set": name, "half": "develop", "noisy": False, "attacks": [], "samples": 100, "classes": 2, "clean_flagged": 0,
        "clean_flagged_share": 0.0, "worst_class_altered_share": 0.0, "clean_kinds": {"backdoor": 0, "mislabelled": 0},
        "restored": dict.fromkeys(("backdoor", "mislabelled", "all", "clean"), NOTHING), "cpu_seconds": 5.4,
        "wall_seconds": 6.2, "machine": MACHINE, **measures,
    }  # fmt: skip


def noisy(share: float | None, **measures: Any) -> dict[str, Any]:
    """Of a set whose labels people gave; `share` of what is flagged is wrong."""
    return a_set("cifar10n-3000-a", noisy=True, flagged_wrong_share=share, called_backdoor=0, wrong=9, **measures)


def poisoned(name: str = "digits-10x60+badnets-5", **measures: Any) -> dict[str, Any]:
    """Of a set with poison that was found."""
    found = {"tpr": 1.0, "fpr": 0.0, "asr_input": 0.9, "asr_output": 0.01}
    return a_set(name, attacks=["badnets"], **{**found, **measures})


def made_up() -> dict[str, Any]:
    """Of a run of a comparison: every key that columns and plots read."""
    detector = {"average_precision": 0.9, "tpr": 0.8, "fpr": 0.01, "flagged": 7, "cdr": 0.9, "pdr": 0.1, "curve": CURVE}
    model = {"accuracy": 0.7, "asr": 0.2}
    counts = {"cdr": 0.9, "pdr": 0.1, "clean": 90, "residual": 1}
    names = (
        "pdautor",
        "bab",
        "ensemble",
        "mixture",
        "mixture_post_training",
        "svd",
        "spectral",
        "activation_clustering",
        "scan",
    )
    return {
        "samples": 100,
        "poisoned": 10,
        "detection": detector,
        "restoration": {"apd_all": 0.02, "apd_nothing": 0.03, "error_changed_ratio": 0.5, "lra_all": 0.75},
        "downstream": {"input": model, "output": model, "kept": model, "healed": model},
        "by_models": {str(n + 1): counts for n in range(20)},
        "stages": {"detection": 5.0, "content": 6.0, "labels": 7.0, "total": 18.0},
        "detectors": dict.fromkeys((*names, "spectre", "post_training", "art"), detector),
        "model": model,
        "losses": {"clean": [2.0, 1.0, 0.5], "poisoned": [2.0, 0.5, 0.1]},
        "training": {"epochs": 3},
        "sheet": None,
        "machine": MACHINE,
    }
