"""The files of a restorer: `config.json` has its architecture, `model.safetensors` its weights.

They may come from strangers: nothing is unpickled, and sizes are checked before anything is read or built.
"""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..data.checksums import Checked, write_sums
from ..data.reading import parse_json, parsing, read_bytes
from ..errors import CacheError, DamagedError, RestorerError
from .architecture import Architecture

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
MAX_CONFIG = 1 << 16
"""Bytes of `config.json`."""
_MAX_HEADER = 1 << 20
"""Bytes of what a safetensors file holds besides its tensors."""
_TRIGGER, _STORED_TRIGGER = "trigger.", "estimate."
"""What the names of the trigger's tensors begin with in a restorer, and in its file, so that published ones stay
readable."""
_IDLE = {f"{_STORED_TRIGGER}{name}" for name in ("scale", "shift", "tolerance", "contrast", "direction", "calibration")}
"""Tensors of triggers that restorers of earlier versions hold whether or not their kind has them."""


class _Described(msgspec.Struct):
    """What else `config.json` holds."""

    model_type: Literal["unpoison-restorer"]
    format: int


def check_place(folder: Path) -> None:
    """Makes sure that a restorer replaces nothing but a restorer.

    Raises:
        RestorerError: there is something else.
    """
    if not any((folder / name).exists() for name in (CONFIG, WEIGHTS)):
        return
    path = folder / CONFIG
    with suppress(DamagedError), parsing(path):
        parse_json(read_bytes(path, MAX_CONFIG), _Described)
        return
    raise RestorerError(f"{folder} holds another model than a restorer: choose another folder")


def write(folder: Path, architecture: Architecture, tensors: dict[str, Tensor]) -> None:
    """Writes the files of a restorer, and their checksums, into a folder where none is.

    Raises:
        OSError, SafetensorError: they cannot be written.
    """
    stored = {_stored(name): tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(stored, folder / WEIGHTS)
    facts = {"model_type": "unpoison-restorer", "format": FORMAT, **dataclasses.asdict(architecture)}
    (folder / CONFIG).write_text(json.dumps(facts, indent=2) + "\n")
    write_sums(folder, (CONFIG, WEIGHTS))


@contextmanager
def explaining() -> Iterator[None]:
    """What is wrong with the files, as an error of the restorer."""
    try:
        yield
    except CacheError as error:
        raise RestorerError(str(error)) from error


def read_architecture(files: Checked) -> Architecture:
    """What `config.json` says.

    Raises:
        CacheError: it is damaged or of a newer format.
        RestorerError: it is of an older format, or says what no restorer is built from.
    """
    described = files.json(CONFIG, _Described, newest=FORMAT)
    if described.format != FORMAT:
        raise RestorerError(
            f"{files.folder / CONFIG} has another format than {FORMAT}: save the restorer again with save_pretrained"
        )
    known = {*_Described.__struct_fields__, *(field.name for field in dataclasses.fields(Architecture))}
    if unknown := sorted(set(files.json(CONFIG, dict[str, Any])) - known):
        raise RestorerError(f"{files.folder / CONFIG} has unknown entries ({', '.join(unknown)[:80]}): get it anew")
    return files.json(CONFIG, Architecture)


def max_weights(architecture: Architecture, outline: dict[str, Tensor]) -> int:
    """Bytes of a file with the tensors of an outline, and those of `_IDLE`, none of which is larger than an image."""
    a = architecture
    numbers = sum(tensor.numel() for tensor in outline.values()) + len(_IDLE) * a.channels * a.height * a.width
    return 4 * numbers + _MAX_HEADER


def read_weights(path: Path, outline: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a restorer, by name.

    Args:
        outline: tensors of these names and shapes, which need no memory behind them.

    Raises:
        RestorerError: the file cannot be read, or holds other tensors than float32 ones as the outline says.
    """
    try:
        with safe_open(path, framework="pt") as file:
            expected = {_stored(name): tensor for name, tensor in outline.items()}
            found = set(file.keys()) - (_IDLE - set(expected))
            if found != set(expected):
                missing, unknown = sorted(set(expected) - found), sorted(found - set(expected))
                raise RestorerError(
                    f"{path} does not fit its config.json (missing {missing[:3]}, unknown {unknown[:3]}): "
                    f"use the two files of one save_pretrained"
                )
            for name, tensor in expected.items():
                part = file.get_slice(name)
                if part.get_shape() != list(tensor.shape) or part.get_dtype() != "F32":
                    raise RestorerError(
                        f"{path}: {name} is {part.get_dtype()} {part.get_shape()} instead of F32 "
                        f"{list(tensor.shape)}: use the two files of one save_pretrained"
                    )
            tensors: dict[str, Tensor] = {name: file.get_tensor(_stored(name)) for name in outline}
    except (OSError, SafetensorError) as error:
        raise RestorerError(f"cannot read {path}: {error}. Save the restorer again with save_pretrained") from error
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise RestorerError(f"{path} holds values that are not finite: train the restorer again")
    return tensors


def _stored(name: str) -> str:
    """The name in the file of a restorer's tensor."""
    return _STORED_TRIGGER + name.removeprefix(_TRIGGER) if name.startswith(_TRIGGER) else name
