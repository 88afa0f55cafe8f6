"""Datasets by path or name, for the command line."""

import os
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from .files import check_regular
from .formats import file_suffixes


def open_source(source: str, *, root: str | Path = "data", download: bool = False) -> Any:
    """Opens a map-style dataset.

    Args:
        source: a folder with one sub-folder of images per class; a `.parquet` or `.tar` (WebDataset) file, or a
            folder of such files; or the name of a torchvision dataset, e.g. ``"CIFAR10"``.
        root: where torchvision datasets lie.
        download: whether torchvision may fetch what is missing.

    Raises:
        DatasetError: nothing is found under this path or name, or it cannot be read.
    """
    path = Path(source)
    if path.exists():
        for suffix in (".parquet", ".tar"):
            files = [path] if path.suffix == suffix else sorted(path.glob(f"*{suffix}"))
            # Class folders may be called so, too.
            if files := [file for file in files if not file.is_dir()]:
                return _load(suffix, files)
        if path.is_dir():
            import torchvision

            _check_ends(path)
            try:
                return torchvision.datasets.ImageFolder(path, is_valid_file=_is_image_file)
            except FileNotFoundError as error:
                raise DatasetError(
                    f"{path}: {error}. Put the images of each class into a sub-folder, and remove other folders"
                ) from error
    return _torchvision(source, Path(root), download)


def _is_image_file(path: str) -> bool:
    return Path(path).suffix.lower() in file_suffixes()


def _check_ends(root: Path) -> None:
    """Makes sure that a folder does not hold itself, by links, which torchvision follows.

    Raises:
        DatasetError: it does.
    """
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(str(root), frozenset())]
    while waiting:
        folder, above = waiting.pop()
        try:
            status = os.stat(folder)  # noqa: PTH116
            with os.scandir(folder) as entries:
                inner = [entry.path for entry in entries if entry.is_dir()]
        except OSError:  # torchvision leaves it out
            continue
        place = (status.st_dev, status.st_ino)
        if place in above:
            raise DatasetError(f"{folder} is a link to a folder that it lies in: remove it")
        waiting += [(path, above | {place}) for path in inner]


def _load(suffix: str, files: list[Path]) -> Any:
    import datasets

    from .tars import Tars

    datasets.disable_progress_bars()
    names = [str(file) for file in files]
    try:
        for file in files:
            check_regular(file)
        if suffix == ".parquet":
            return datasets.load_dataset("parquet", data_files=names, split="train")
        builder = Tars(dataset_name="unpoison_tars", data_files=names)
        builder.download_and_prepare()
        return builder.as_dataset(split="train")
    except Exception as error:  # there is no end to what libraries raise for damaged files
        kind = suffix.removeprefix(".")
        raise DatasetError(f"cannot read {files[0]} as {kind}: {error.__cause__ or error}") from error


def _torchvision(name: str, root: Path, download: bool) -> Any:
    import torchvision

    factory = getattr(torchvision.datasets, name, None) if name in torchvision.datasets.__all__ else None
    if factory is None:
        raise DatasetError(
            f"{name!r} is neither a path nor a torchvision dataset: give a folder with one sub-folder per class, "
            "a .parquet or .tar file, or a name such as CIFAR10"
        )
    try:
        return factory(root=root, download=download)
    except (RuntimeError, TypeError) as error:
        raise DatasetError(f"torchvision cannot open {name} under {root}: {error}") from error
