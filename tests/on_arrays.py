"""Methods on arrays, without a cache that stays."""

import tempfile
from pathlib import Path

import numpy as np

from unpoison import Restorer
from unpoison.context import Context
from unpoison.data.access import RawView
from unpoison.data.checksums import publishing_checked
from unpoison.data.labelled import LabelledImages
from unpoison.data.store import ImageStore
from unpoison.data.surveying import survey
from unpoison.methods import get_method
from unpoison.methods.cleaning import Task, clean
from unpoison.stages import LocalExecutor
from unpoison.stages.given import Given


def store_of(images, labels, folder):
    """Arrays as a store in a new folder."""
    view = RawView(LabelledImages(images, labels))
    with publishing_checked(folder) as temporary:
        ImageStore.build(view, survey(view, num_workers=0), temporary, num_workers=0)
    return ImageStore.open(folder)


def cleaned(images, labels, method, config, on_poison="restore", restorer=None):
    """What a method makes of uint8 images [N,H,W,C] with labels int64 [N]: its `Outcome`, with the restorer opened."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = store_of(images, labels, root / "store")
        given = Given(restorer, None).kept_in(root, store.positions)
        task = Task(
            method=get_method(method), config=config, on_poison=on_poison, given=given,
            keep=np.zeros(len(labels), bool), max_altered=1, duplicates="keep",
            class_names=[str(label) for label in range(store.num_classes)],
        )  # fmt: skip
        outcome = clean(task, store, LocalExecutor(root), Context())
        return outcome._replace(restorer=outcome.restorer and Restorer.from_pretrained(outcome.restorer))
