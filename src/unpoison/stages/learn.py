"""PD-AutoR 3.1, components 1 to 3: trains M on the suspect data and keeps what its training showed."""

from pathlib import Path

from ..context import Context
from ..data.store import ImageStore
from ..detection.config import NetworkConfig
from ..detection.detector import learn
from ..detection.files import save_learned
from .stage import Inputs, Stage


def run(inputs: Inputs, out: Path, config: NetworkConfig, context: Context) -> None:
    """Writes what `detection.files.load_learned` reads."""
    store = ImageStore.open(inputs["store"])
    save_learned(learn(store.images, store.labels, store.num_classes, config, context), out)


LEARN = Stage(name="learn", makes="what was learned", run=run, config_class=NetworkConfig)
