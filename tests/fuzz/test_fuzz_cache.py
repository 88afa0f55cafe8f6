"""The cache: the index of the files that were read, the working copy, what was found, runs and their manifests."""

import hashlib
import os
import time

import corner
import twostep  # noqa: F401  # registers the method
from folders import cases, changed
from harmless import harmless
from unpoison import SanitizedDataset
from unpoison.data.cache import Cleaned
from unpoison.data.items import same_parts
from unpoison.errors import DamagedError, UnpoisonError


def aged(images, labels, folder):
    """Photographs whose files the index trusts."""
    photos = corner.image_folder(images, labels, folder)
    for path, _ in photos.samples:
        os.utime(path, (time.time() - 60,) * 2)
    photos.transform = photos.target_transform = None
    return type(photos)(folder)


def content(served):
    return list(served), served.targets, served.report.action.tolist(), served.report.score.tolist()


def test_cache_that_is_opened_anew(fuzz, images_and_labels, tmp_path, cache):
    photos = aged(*images_and_labels, tmp_path / "photos")
    expected = content(SanitizedDataset(photos, "twostep"))

    def use(case):
        with changed(cache, case) as size:
            if case.listed and "index" in case.name:
                path = cache / case.name
                path.write_bytes((data := path.read_bytes()[:-32]) + hashlib.sha256(data).digest())
            found = harmless(lambda: content(SanitizedDataset(photos, "twostep")), [cache], size or 0)
            if isinstance(found, UnpoisonError):
                assert case.listed or (isinstance(found, DamagedError) and case.name.endswith(".tar"))
            elif not case.listed:
                assert same_parts(found, expected)

    fuzz(cases(cache, leaving=(".lock", ".html", ".md")), 40, use)


def test_run_that_is_open(fuzz, images_and_labels, tmp_path, cache):
    photos = aged(*images_and_labels, tmp_path / "photos")
    served = SanitizedDataset(photos, "twostep").prepare()
    expected = content(served)
    (run,) = cache.glob("runs/*")

    def reopened():
        again = SanitizedDataset(photos, "twostep")
        again._cleaned = Cleaned(run)
        return content(again)

    def use(case):
        with changed(cache, case) as size:
            found = harmless(reopened, [cache], size or 0)
            if isinstance(found, UnpoisonError):
                assert str(cache) in str(found) or case.listed
            elif not case.listed:
                assert same_parts(found, expected)

    fuzz(cases(cache, leaving=(".lock", ".html", ".md", ".sha256")), 60, use)
