"""The folders that a dataset's images lie in: those that are no classes, by name."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError
from .access import RawView
from .survey import Survey

_FEW = 2


def hidden_folder(file: str) -> str:
    """The innermost hidden folder that a file lies in, as a path; "" where there is none."""
    parents = PurePath(file).parents
    return next((str(folder) for folder in parents if _is_hidden(folder.name)), "")


def hidden_folders(found: Iterable[str]) -> dict[str, int]:
    """How many files lie in each hidden folder, from what `hidden_folder` says of all files of a dataset.

    Folders that hold the whole dataset do not count.
    """
    counts = Counter(found)
    whole = {folder for folder in counts if all(PurePath(other).is_relative_to(folder) for other in counts)}
    return {folder: count for folder, count in counts.items() if folder and folder not in whole}


def check_classes(view: RawView, found: Survey, positions: npt.NDArray[np.int64]) -> None:
    """Whether the items at some positions can be cleaned.

    Raises:
        DatasetError: they are of fewer than two classes, or of a class with a single image.
    """
    classes, first, counts = np.unique(found.labels[positions], return_index=True, return_counts=True)
    count = len(found.labels) - len(positions)
    without = f" ({count} of the dataset's items cannot be read)" if count else ""
    if not len(classes):
        raise DatasetError(f"none of the {len(found.labels)} items can be decoded: repair the files")
    if len(classes) < 2:
        raise DatasetError(f"all labels are {_title(found, classes[0])}{without}: detection needs at least two classes")
    for label, place, count in zip(classes.tolist(), first.tolist(), counts.tolist(), strict=True):
        if count == 1:
            index = int(positions[place])
            file, folder = view.read(index).file, _class_folder(view, found, index)
            raise DatasetError(
                f"item {index}{f' ({file})' if file else ''} is the only image of class {_title(found, label)}{without}"
                + (f", the folder {folder}: remove the folder, or add" if folder else ": remove it or add")
                + " more images of the class"
            )


def odd_folders(view: RawView, found: Survey) -> Iterator[str]:
    """What is to be said of folders that may not belong to a dataset."""
    for folder, count in sorted(found.hidden.items()):
        images = "1 image" if count == 1 else f"{count} images"
        yield f"the folder {folder} is hidden, and {images} of the dataset lie in it: remove it if that is no data"
    classes, first, counts = np.unique(found.labels[found.readable], return_index=True, return_counts=True)
    for label, index, count in zip(classes.tolist(), found.readable[first].tolist(), counts.tolist(), strict=True):
        folder = _class_folder(view, found, index) if count <= _FEW else ""
        if folder and folder not in found.hidden:
            yield f"the folder {folder}, class {_title(found, label)}, holds {count} images: remove it if it is none"


def _is_hidden(name: str) -> bool:
    return name == "__MACOSX" or (name.startswith(".") and name not in (".", ".."))


def _title(found: Survey, label: int) -> str:
    """A class as the dataset's labels give it."""
    return repr(found.names[label]) if found.text_labels and found.names is not None else str(label)


def _class_folder(view: RawView, found: Survey, index: int) -> str:
    """The folder that is named as the class of an item and holds it; "" where there is none."""
    label = int(found.labels[index])
    if found.names is None or label >= len(found.names):
        return ""
    parents = PurePath(view.read(index).file).parents
    return next((str(folder) for folder in parents if folder.name == found.names[label]), "")
