"""What importing the package costs and offers."""

import subprocess
import sys

import pytest

import unpoison


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_import_loads_nothing_heavy():
    heavy = {
        "torch",
        "datasets",
        "webdataset",
        "torchvision",
        "sklearn",
        "huggingface_hub",
        "pyarrow",
        "ray",
        "fastapi",
    }
    heavy |= {"numpy", "rich", "argcomplete"}
    assert not heavy & set(run("import sys, unpoison; print(*sys.modules)"))


def test_main_names_do_not_load_datasets():
    loaded = set(run("import sys; from unpoison import SanitizedDataset, Sanitizer, Report; print(*sys.modules)"))
    assert "unpoison.dataset" in loaded
    heavy = {"datasets", "pyarrow", "webdataset", "ray", "fastapi", "rich", "argcomplete", "jinja2", "matplotlib"}
    heavy |= {"scipy.stats", "sklearn"}
    assert not heavy & loaded


@pytest.mark.parametrize("name", unpoison.__all__)
def test_public_names_resolve(name):
    assert getattr(unpoison, name) is not None
    assert name in dir(unpoison)


def test_one_line_change_is_exported():
    assert {"SanitizedDataset", "Sanitizer", "Report", "Restorer", "PDAutoRConfig"} <= set(dir(unpoison))


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'unpoison' has no attribute 'Sanitised'"):
        unpoison.Sanitised  # noqa: B018
    with pytest.raises(ImportError):
        from unpoison import Sanitised  # noqa: F401
