"""A restorer that the user gives, kept where stages read it."""

import hashlib
import tempfile
from pathlib import Path
from typing import NamedTuple

from ..data.cache import build_once
from ..data.checksums import is_whole, publishing_checked
from ..data.files import writing
from ..data.pruning import RESTORERS, mark_used
from ..restoration import Restorer
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


class Given(NamedTuple):
    """A restorer, and its `restorer_digest`."""

    restorer: Restorer
    digest: str

    def kept_in(self, root: Path) -> Artefact:
        """Writes it into the cache folder, unless it is there.

        Raises:
            CacheError: the cache folder cannot be written.
        """
        folder = root / RESTORERS / self.digest[:32]

        def build() -> None:
            with writing(root), publishing_checked(folder) as temporary:
                self.restorer._write(temporary)

        build_once(root, f"restorer-{folder.name}", lambda: is_whole(folder), build)
        mark_used(folder)
        return Artefact(folder, self.digest)


def load_restorer(restorer: Restorer | str | Path | None) -> Restorer | None:
    """A restorer that is given as one, as a folder or as the name of a repository on the Hub."""
    return Restorer.from_pretrained(restorer) if isinstance(restorer, str | Path) else restorer
