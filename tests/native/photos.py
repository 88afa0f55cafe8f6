"""Made photographs of several sizes, smooth with some grain, and triggers on them at their own size."""

import io

import numpy as np
from PIL import Image

from unpoison.native.originals import Originals

SIZES = [(120, 90), (90, 120), (120, 90), (150, 90), (120, 90)]
COPY = (40, 30)


def photograph(seed):
    """uint8 [H,W,3]."""
    rng = np.random.default_rng(seed)
    height, width = SIZES[seed % len(SIZES)]
    coarse = Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)).resize((width, height), 3)
    return np.clip(np.asarray(coarse) + rng.normal(0, 2, (height, width, 1)), 0, 255).astype(np.uint8)


def through_jpeg(image, quality=95):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def originals(stamp, suspects=60, others=120):
    """Stamped photographs that went through JPEG, and others; and the first ones without the stamp."""
    clean = [photograph(seed) for seed in range(suspects)]
    rest = [photograph(seed) for seed in range(1000, 1000 + others)]
    return Originals([through_jpeg(stamp(image)) for image in clean], rest), clean


def error_left(repair, stamped, clean, stamp):
    """Of the error of doing nothing, in the pixels that the stamp changes."""
    left, nothing = [], []
    for image, before in zip(stamped, clean, strict=True):
        changed = (stamp(before) != before).any(2)
        copy = np.zeros((*COPY, 3), np.uint8)
        left.append(np.abs(repair(image, copy).astype(float) - before)[changed].mean())
        nothing.append(np.abs(image.astype(float) - before)[changed].mean())
    return np.mean(left) / np.mean(nothing)
