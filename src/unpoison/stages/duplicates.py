"""Finds images that are the same to the eye: no poison, but known before anything is called so."""

from pathlib import Path

import numpy as np

from ..context import Context
from ..data.checksums import Checked
from ..data.duplicates import Duplicates, find_duplicates
from ..data.store import ImageStore
from .stage import Inputs, Stage

_ARRAYS = "duplicates.npz"


def run(inputs: Inputs, out: Path, config: None, context: Context) -> None:
    """Writes what `load` reads."""
    store = ImageStore.open(inputs["store"])
    with context.stage("duplicates"):
        found = find_duplicates(store.images, store.labels)
    np.savez(out / _ARRAYS, allow_pickle=False, **found._asdict())


def load(folder: Path) -> Duplicates:
    """Raises DamagedError where a file is damaged, as all that reads artefacts."""
    return Duplicates(**Checked(folder).arrays(_ARRAYS, {"of": ("i", 1), "blank": ("b", 1)}))


DUPLICATES = Stage(name="duplicates", makes="which images are copies", run=run, config_class=type(None))
