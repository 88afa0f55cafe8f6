"""Fixtures of the whole suite. The Hub's clients read their settings when they are imported: they are set here, before
anything else, and point to a server of our own, so that no test can reach the network."""

import os
import sys
import tempfile

import hub_server

assert "huggingface_hub" not in sys.modules
HUB = hub_server.Hub()
_HOME = tempfile.TemporaryDirectory(prefix="unpoison-tests-")
os.environ.update(
    HF_ENDPOINT=HUB.url,
    HF_TOKEN=hub_server.TOKEN,
    HF_HOME=_HOME.name,
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
)
for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_DATASETS_OFFLINE"):
    os.environ.pop(name, None)

import pytest  # noqa: E402

import corner  # noqa: E402
from victims import victim  # noqa: E402, F401


def pytest_collection_modifyitems(items):
    """What trains longest begins first: of several processes none is then left alone with it."""
    items.sort(key=lambda item: "photographs" not in item.name)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder per test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("UNPOISON_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def fewer_references():
    """A search compares with 1,000 clean images; 6,000 would be several copies of each of the few that tests clean."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unpoison.triggers.search._MAX_REFERENCE", 1000)
        yield


@pytest.fixture
def unpatterned(monkeypatch):
    """Leaves out the search by pixels alone, which would take most of the time."""
    monkeypatch.setattr("unpoison.explanation.explain.pixel_clusters", lambda *_: [])


@pytest.fixture
def one_class_searched(monkeypatch):
    """Of the classes only the most doubted one is searched on its own, and then all of them together."""
    monkeypatch.setattr("unpoison.explanation.explain.SEARCHED", 1)


@pytest.fixture
def images_and_labels():
    return corner.make_images()


@pytest.fixture
def pairs(images_and_labels):
    """A plain list of (PIL image, int)."""
    from PIL import Image

    images, labels = images_and_labels
    return [(Image.fromarray(image), int(label)) for image, label in zip(images, labels, strict=True)]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server that stands for the Hub, empty, with an empty cache; the client's retries do not wait.

    `hub.waited` lists the seconds that they would have waited.
    """
    import huggingface_hub
    from huggingface_hub import file_download
    from huggingface_hub.utils import _http

    HUB.reset()
    HUB.waited = []
    for module in (_http, file_download):
        monkeypatch.setattr(module, "time", type("Time", (), {"sleep": staticmethod(HUB.waited.append)}))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return HUB
