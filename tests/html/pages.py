"""Reports to draw, and a reader of the pages that are drawn."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np

from unpoison import Report
from unpoison.illustration import illustrate
from unpoison.report import ClassEvidence


def make(count=60, flagged=10, side=8, classes=3, action="restore", kind="backdoor", place=(6, 6), **facts):
    """A run that flagged the first samples, all of class 1; their restoration changed 2 x 2 pixels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    mask = np.arange(count) < flagged
    original = np.where(mask, 1, np.arange(count) % classes)
    label = np.where(mask, {"restore": 2, "keep": 1, "drop": -1}[action], original)
    restored = np.flatnonzero(mask) if action == "restore" else np.zeros(0, np.int64)
    after = images[restored].copy()
    after[:, place[0] : place[0] + 2, place[1] : place[1] + 2] ^= 255
    report = Report(
        score=np.where(mask, 5.0, -5.0).astype(np.float32) - np.arange(count, dtype=np.float32) / count,
        flagged=mask,
        kind=np.where(mask, kind, ""),
        action=np.where(mask, action, "keep"),
        label=label,
        original_label=original,
        quality=np.where(mask, 0.75, 1).astype(np.float32),
        threshold=0.0,
        reason=np.where(mask & (action == "drop"), "asked", ""),
        classes=[
            ClassEvidence(
                label=c, size=count // classes, evidence=6.0 if c == 1 and flagged else 1.5,
                poisoned=c == 1 and bool(flagged), details={"needed": 3.2},
            )
            for c in range(classes)
        ],
        timings={"read": 1.0},
        config={"method": "pdautor", "seed": 0},
        notes=["class 1: the flagged images share a trigger of kind patch"],
        versions={"unpoison": "1"},
        **facts,
    )  # fmt: skip
    return dataclasses.replace(report, pictures=illustrate(report, images, restored, after))


class Loads(HTMLParser):
    """What a page refers to, and the text that it shows."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.tags, self.alts, self.shown = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
                self.addresses.append(value)
            if name == "alt":
                self.alts.append(value)

    def handle_data(self, data):
        self.shown.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.shown))
