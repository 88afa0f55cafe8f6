"""`.ci/audit.py`: which licences are permissive."""

import importlib.util
import tomllib
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("audit", Path(__file__).parents[1] / ".ci" / "audit.py")
audit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(audit)


@pytest.mark.parametrize(
    ("metadata", "wrong"),
    [
        ({"License-Expression": ["MIT"]}, []),
        ({"License-Expression": ["(MIT OR Apache-2.0) AND BSD-3-Clause"]}, []),
        ({"License-Expression": ["MIT AND GPL-3.0-only"]}, ["GPL-3.0-only"]),
        ({"License-Expression": ["Apache-2.0 WITH LLVM-exception"]}, []),
        ({"Classifier": ["License :: OSI Approved", "License :: OSI Approved :: ISC License (ISCL)"]}, []),
        ({"Classifier": ["License :: OSI Approved"], "License": ["BSD"]}, []),
        ({"License": ["MIT AND LGPL"]}, ["LGPL"]),
        ({"Classifier": ["License :: Other/Proprietary License"], "License": ["MIT"]}, ["Other/Proprietary License"]),
        ({"Classifier": ["Topic :: Security"], "License": []}, ["not stated"]),
    ],
)
def test_licences(metadata, wrong):
    assert audit.not_permissive(metadata) == wrong


def test_all_packages_of_the_repository_are_looked_at():
    root = Path(__file__).parents[1]
    projects = [root / "pyproject.toml", *root.glob("*/pyproject.toml")]
    assert {tomllib.loads(path.read_text())["project"]["name"] for path in projects} == set(audit.OURS)
    found = set(audit.audited())
    # Of the package, of its extras, and of the benchmarks.
    assert {"torch", "py-minisign", "adversarial-robustness-toolbox"} <= found
    assert not found & {"unpoison", "unpoison-bench", "pytest"}


def test_what_is_installed():
    found = audit.installed("datasets", ())
    assert {"datasets", "huggingface-hub", "pyarrow", "pyyaml"} <= set(found)
    assert not {"pytest", "torch"} & set(found)
