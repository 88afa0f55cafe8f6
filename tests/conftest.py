"""Fixtures of the whole suite."""

import pytest

import corner


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder per test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("UNPOISON_CACHE", str(folder))
    return folder


@pytest.fixture
def images_and_labels():
    return corner.make_images()


@pytest.fixture
def pairs(images_and_labels):
    """A plain list of (PIL image, int)."""
    from PIL import Image

    images, labels = images_and_labels
    return [(Image.fromarray(image), int(label)) for image, label in zip(images, labels, strict=True)]
