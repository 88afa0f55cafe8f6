"""WebDataset shards of the cleaned samples, and random access to their images.

Every sample has the same three members: the image, `.cls` (class number) and `.json`. Untouched samples keep the
bytes of their original file where they have one and are PNG otherwise; restored samples are PNG. All images of a
dataset share one file name extension, because readers take the fields of the first samples for those of all; every
reader of images goes by the content, whose format is `encoding` in the `.json`.

Shards hold 8 bits per channel. They are what other programs read; `SanitizedDataset` takes from them the restored
pixels only, so that samples with more precision than a PNG can hold stay exactly as they are.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import CacheError
from ..progress import Stage
from .files import check_regular, only_regular, open_regular, publish_bytes, read_regular, temporary_name

SAMPLES_PER_SHARD = 2048
INFO = "_info.json"
_INDEX = "index.npy"


class ShardSample(NamedTuple):
    """What is written for one sample."""

    image: bytes
    """The image file."""
    label: int
    facts: dict[str, Any]
    """Content of the `.json` member; the same keys for every sample."""


def write_shards(
    folder: Path,
    count: int,
    sample_at: Callable[[int], ShardSample],
    extension: str = "png",
    *,
    facts: dict[str, Any] | None = None,
    per_shard: int = SAMPLES_PER_SHARD,
    stage: Stage | None = None,
) -> list[dict[str, Any]]:
    """Writes samples 0..count-1 to `folder/shards/shard-00000.tar` and so on, their index and timm's `_info.json`.

    The bytes depend on the samples only. Shards that an earlier, interrupted call finished are checked and kept.
    `facts` about the set as a whole are added to `_info.json`.

    Returns:
        For each shard: name, size in bytes, sha256, number of samples.
    """
    shards, records = folder / "shards", folder / "records"
    shards.mkdir(parents=True, exist_ok=True)
    records.mkdir(exist_ok=True)
    entries, offsets = [], []
    for number, start in enumerate(range(0, count, per_shard)):
        path, record = shards / f"shard-{number:05}.tar", records / f"shard-{number:05}.json"
        stop = min(count, start + per_shard)
        entry = _finished(path, record)
        if entry is None:
            _write_tar(path, range(start, stop), sample_at, extension)
            entry = {
                "name": path.name,
                "samples": stop - start,
                **_checksum(path),
                "offsets": _offsets(path, extension),
            }
            publish_bytes(record, json.dumps(entry).encode())
        offsets.append([(number, *pair) for pair in entry.pop("offsets")])
        entries.append(entry)
        if stage is not None:
            stage.update(stop / count)
    index = np.array([row for rows in offsets for row in rows], np.int64).reshape(-1, 3)
    with temporary_name(folder / _INDEX) as temporary:
        with temporary.open("wb") as file:
            np.save(file, index, allow_pickle=False)
        temporary.replace(folder / _INDEX)
    publish_bytes(shards / INFO, json.dumps({**_timm_info(entries), "unpoison": facts or {}}, indent=1).encode())
    return entries


class ShardReader:
    """Random access to the image members.

    It keeps no file open, so it can be pickled and shared between processes and threads.
    """

    def __init__(self, folder: Path) -> None:
        self._shards = folder / "shards"
        try:
            check_regular(folder / _INDEX)
            # int64 [M,3]: shard, offset and size of each image member in bytes.
            self._index: npt.NDArray[np.int64] = np.load(folder / _INDEX, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise CacheError(f"the index of the shards in {folder} is damaged, delete the folder: {error}") from error

    def __len__(self) -> int:
        return len(self._index)

    def image(self, position: int) -> bytes:
        """The image file of the sample at a position.

        Raises:
            CacheError: the shard is gone or cut off.
        """
        shard, offset, size = self._index[position].tolist()
        path = self._shards / f"shard-{shard:05}.tar"
        try:
            file = only_regular(str(path), os.O_RDONLY)
            try:
                data = os.pread(file, size, offset)
            finally:
                os.close(file)
        except OSError as error:
            raise CacheError(f"the shard {path} cannot be read, clean again: {error}") from error
        if len(data) != size:
            raise CacheError(f"the shard {path} is cut off: delete its folder and clean again")
        return data


def _write_tar(path: Path, positions: range, sample_at: Callable[[int], ShardSample], extension: str) -> None:
    import webdataset

    with temporary_name(path) as temporary:
        with temporary.open("wb") as stream, webdataset.TarWriter(stream, encoder=False, mtime=0) as writer:
            for position in positions:
                sample = sample_at(position)
                writer.write(
                    {
                        "__key__": f"{position:08}",
                        extension: sample.image,
                        "cls": str(sample.label).encode(),
                        "json": json.dumps(sample.facts, sort_keys=True).encode(),
                    }
                )
        temporary.replace(path)


def _offsets(path: Path, extension: str) -> list[tuple[int, int]]:
    with tarfile.open(path, "r:") as tar:
        return [(member.offset_data, member.size) for member in tar if member.name.endswith(f".{extension}")]


def _checksum(path: Path) -> dict[str, Any]:
    with open_regular(path) as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _finished(path: Path, record: Path) -> dict[str, Any] | None:
    try:
        entry: dict[str, Any] = json.loads(read_regular(record))
        return entry if _checksum(path).items() <= entry.items() else None
    except (OSError, ValueError):
        return None


def _timm_info(entries: list[dict[str, Any]]) -> dict[str, Any]:
    split = {
        "name": "train",
        "num_samples": sum(entry["samples"] for entry in entries),
        "filenames": [entry["name"] for entry in entries],
        "shard_lengths": [entry["samples"] for entry in entries],
    }
    return {"splits": {"train": split}}


def iter_paths(folder: Path, entries: list[dict[str, Any]]) -> Iterator[Path]:
    """The shards of a finished folder.

    Raises:
        CacheError: one is missing or has another size than recorded.
    """
    for entry in entries:
        path = folder / "shards" / entry["name"]
        if not path.is_file() or path.stat().st_size != entry["size"]:
            raise CacheError(f"the shard {path} is missing or damaged: delete {folder} and clean again")
        yield path
