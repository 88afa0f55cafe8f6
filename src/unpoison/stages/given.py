"""A restorer that the user gives, kept where stages read it."""

import hashlib
import tempfile
from pathlib import Path

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


def keep_restorer(root: Path, restorer: Restorer, digest: str) -> Artefact:
    """Writes it into the cache folder, unless it is there.

    Raises:
        CacheError: the cache folder cannot be written.
    """
    folder = root / RESTORERS / digest[:32]

    def build() -> None:
        with writing(root), publishing_checked(folder) as temporary:
            restorer._write(temporary)

    build_once(root, f"restorer-{folder.name}", lambda: is_whole(folder), build)
    mark_used(folder)
    return Artefact(folder, digest)
