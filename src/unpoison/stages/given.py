"""What the user brings to a run, kept where stages read it: a restorer to start from, features of all items."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from ..data.cache import build_once
from ..data.checksums import is_whole, publishing_checked
from ..data.files import writing
from ..data.pruning import RESTORERS, STAGES, mark_used
from ..features import AnyFeatures, digest_of, register_given
from ..restoration import Restorer
from .features import FEATURES, save
from .restore import RESTORER
from .stage import Artefact


def restorer_digest(restorer: Restorer) -> str:
    """Of what decides how it restores, in hexadecimal."""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        restorer.save_pretrained(folder)
        for path in sorted(Path(folder).rglob("*")):
            if path.suffix in (".json", ".safetensors"):
                digest.update(path.read_bytes())
    return digest.hexdigest()


class Given:
    """A restorer, and features float32 [N,D] of all items of the dataset, or either or none of them.

    Attributes:
        digests: of what is there, by its name among the inputs of stages.
    """

    def __init__(self, restorer: Restorer | None, features: npt.NDArray[np.float32] | None) -> None:
        self.restorer, self.features = restorer, features
        self.digests: dict[str, str] = {}
        if restorer is not None:
            self.digests[RESTORER] = restorer_digest(restorer)
        if features is not None:
            self.digests[FEATURES] = digest_of(features)

    @classmethod
    def of(cls, restorer: Restorer | str | Path | None, features: AnyFeatures | None, size: tuple[int, int]) -> Self:
        """As `Sanitizer` takes them, for images of this height and width; makes a source known to this process."""
        register_given(features, size)
        return cls(
            Restorer.from_pretrained(restorer) if isinstance(restorer, str | Path) else restorer,
            features if isinstance(features, np.ndarray) else None,
        )

    @property
    def origin(self) -> str | None:
        """Where the restorer comes from, where it comes from the Hub."""
        return None if self.restorer is None else self.restorer.origin

    def kept_in(self, root: Path, positions: npt.NDArray[np.int64]) -> dict[str, Artefact]:
        """Writes what is there into the cache folder, unless it is there: of features those at int64 [M] positions.

        Raises:
            CacheError: the cache folder cannot be written.
        """
        kept = {}
        if self.restorer is not None:
            digest = self.digests[RESTORER]
            folder = root / RESTORERS / digest[:32]
            kept[RESTORER] = Artefact(_written(root, folder, "restorer", self.restorer._write), digest)
        if self.features is not None:
            rows = self.features[positions]
            digest = digest_of(rows)
            # Beside those that the stage makes: they take their place.
            folder = root / STAGES / FEATURES / digest[:32]
            kept[FEATURES] = Artefact(_written(root, folder, FEATURES, lambda out: save(rows, out)), digest)
        return kept


def _written(root: Path, folder: Path, kind: str, write: Callable[[Path], None]) -> Path:
    """The folder, which is written unless it is there."""

    def build() -> None:
        with writing(root), publishing_checked(folder) as temporary:
            write(temporary)

    build_once(root, f"{kind}-{folder.name}", lambda: is_whole(folder), build)
    mark_used(folder)
    return folder
