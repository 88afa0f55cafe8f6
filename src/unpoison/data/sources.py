"""Datasets by path or name, for the command line."""

import tarfile
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from .formats import file_suffixes


def open_source(source: str, *, root: str | Path = "data", download: bool = False) -> Any:
    """Opens a map-style dataset.

    Args:
        source: a folder with one sub-folder of images per class; a `.parquet` or `.tar` (WebDataset) file, or a
            folder of such files; or the name of a torchvision dataset, e.g. ``"CIFAR10"``.
        root: where torchvision datasets lie.
        download: whether torchvision may fetch what is missing.

    Raises:
        DatasetError: nothing is found under this path or name.
    """
    path = Path(source)
    if path.exists():
        for suffix, builder in ((".parquet", "parquet"), (".tar", "webdataset")):
            files = [path] if path.suffix == suffix else sorted(path.glob(f"*{suffix}"))
            if files:
                return _load(builder, files)
        if path.is_dir():
            import torchvision

            try:
                return torchvision.datasets.ImageFolder(path, is_valid_file=_is_image_file)
            except FileNotFoundError as error:
                raise DatasetError(
                    f"{path}: {error}. Put the images of each class into a sub-folder, and remove other folders"
                ) from error
    return _torchvision(source, Path(root), download)


def _is_image_file(path: str) -> bool:
    return Path(path).suffix.lower() in file_suffixes()


def _load(builder: str, files: list[Path]) -> Any:
    import datasets

    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(builder, data_files=[str(file) for file in files], split="train")
    except (datasets.exceptions.DatasetGenerationError, tarfile.TarError, OSError, ValueError) as error:
        raise DatasetError(f"cannot read {files[0]} as {builder}: {error.__cause__ or error}") from error
    for name, feature in rows.features.items():
        # Of members of tars `datasets` knows some image formats by their extension, and AVIF not among them.
        if builder == "webdataset" and f".{name.lower()}" in file_suffixes() and feature.dtype == "binary":
            rows = rows.cast_column(name, datasets.Image())
    return rows


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
