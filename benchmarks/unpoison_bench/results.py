"""The JSON files that results are kept in."""

import json
from pathlib import Path
from typing import Any

from unpoison.data.files import publish_bytes

Measures = dict[str, Any]
"""The JSON values of one file."""


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file that is either whole or absent, into a folder that is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    publish_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Measures | None:
    """A JSON file, or None where there is none."""
    if not path.exists():
        return None
    value: Measures = json.loads(path.read_text())
    return value
