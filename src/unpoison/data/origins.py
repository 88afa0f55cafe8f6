"""Where a dataset's items come from, as far as that is known without reading them.

Only code that is known takes part: torchvision's folders, Hugging Face's tables, and PyTorch's containers of them.
Whatever stands in between may change an image or a label in its own way, so that a file says nothing about the item.
"""

import os
import sys
from typing import Any, NamedTuple

from torch.utils.data import ConcatDataset, Subset

from .hugging_face import RawHuggingFace


class Origins(NamedTuple):
    """Of N items: what decides their content."""

    names: frozenset[str]
    """Of what holds them, such as a root folder with all that is done to its files, or a table with its state."""
    paths: list[str]
    """The file of each; "" where the item lies in the table itself."""
    marks: list[str]
    """What else decides about each: the label of a file, the row of a table."""


def origins_of(raw: Any, load: Any) -> Origins | None:
    """The origins of a peeled dataset's items; None where they are not known.

    Args:
        raw: as `RawView` reads it.
        load: what reads the files of torchvision's folders in it.
    """
    kind = type(raw)
    if isinstance(raw, RawHuggingFace):
        return _of_table(raw)
    if is_folder(raw, load):
        root = f"folder {raw.root} {load.__name__}"
        return Origins(frozenset([root]), [path for path, _ in raw.samples], [repr(label) for _, label in raw.samples])
    if kind.__getitem__ is Subset.__getitem__:
        child = origins_of(raw.dataset, load)
        if child is None:
            return None
        names, paths, marks = child
        return Origins(names, [paths[i] for i in raw.indices], [marks[i] for i in raw.indices])
    if kind.__getitem__ is ConcatDataset.__getitem__:
        children = [origins_of(dataset, load) for dataset in raw.datasets]
        known = [child for child in children if child is not None]
        if len(known) < len(children):
            return None
        names = frozenset[str]().union(*(child.names for child in known))
        return Origins(names, [p for child in known for p in child.paths], [m for child in known for m in child.marks])
    return None


def is_folder(raw: Any, load: Any) -> bool:
    """Whether this is a torchvision folder whose files are read by `load`, and whose items are (file, label)."""
    folder = sys.modules.get("torchvision.datasets.folder")
    return folder is not None and type(raw).__getitem__ is folder.DatasetFolder.__getitem__ and raw.loader is load


def _of_table(raw: RawHuggingFace) -> Origins | None:
    import datasets

    table = raw.dataset
    if type(table).__getitem__ is not datasets.Dataset.__getitem__:
        return None
    # Files of the table may be written anew under the same fingerprint.
    try:
        files = [(file["filename"], *stamp(file["filename"])) for file in table.cache_files]
    except OSError:
        return None
    name = f"table {table._fingerprint} {files}"
    return Origins(frozenset([name]), outside_files(raw), [f"{table._fingerprint} {row}" for row in range(len(table))])


def outside_files(raw: RawHuggingFace) -> list[str]:
    """The files of a table's images that are not in the table itself; "" for the others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table, key = raw.dataset, raw.image_key
    inside = [""] * len(table)
    if key is None:
        return inside
    column = table.data.column(key)
    if not pa.types.is_struct(column.type):
        return inside
    missing = pc.is_null(pc.struct_field(column, "bytes"))
    if not pc.any(missing).as_py():
        return inside
    paths = pc.if_else(missing, pc.struct_field(column, "path"), "")
    if table._indices is not None:
        paths = paths.take(table._indices.column(0))
    return [path or "" for path in paths.to_pylist()]


def stamp(path: str) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds; raises OSError for a file that is gone."""
    status = os.stat(path)  # noqa: PTH116  # half the time of Path.stat, for each of many files
    return status.st_size, status.st_mtime_ns
