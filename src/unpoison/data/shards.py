"""WebDataset shards of the cleaned samples, and random access to their images.

Every sample has the same three members: the image, `.cls` (class number) and `.json`. Untouched samples keep the
bytes of their original file where they have one and are PNG otherwise; restored samples are PNG. All images of a
dataset share one file name extension, because readers take the fields of the first samples for those of all; every
reader of images goes by the content, whose format is `encoding` in the `.json`.

Shards hold 8 bits per channel. They are what other programs read; `SanitizedDataset` takes from them the restored
pixels only, so that samples with more precision than a PNG can hold stay exactly as they are.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import DamagedError
from ..progress import Bar
from .checksums import Checked, sha256_of, write_sums
from .files import flush, only_regular, publish_bytes, read_regular, temporary_name
from .reading import parsing

SAMPLES_PER_SHARD = 2048
INFO, INDEX = "_info.json", "index.npy"
ROW = np.dtype(
    [("shard", "<i8"), ("offset", "<i8"), ("size", "<i8"), ("image", "u1", 32), ("facts", "u1", 32)]
)  # fmt: skip
"""Of the index: where each image lies, in bytes, its sha256, and that of the members `.cls` and `.json`, joined."""


class ShardSample(NamedTuple):
    """What is written for one sample."""

    image: bytes
    """The image file."""
    label: int
    facts: dict[str, Any]
    """Content of the `.json` member; the same keys for every sample."""


class Shard(msgspec.Struct):
    """A tar that was written."""

    name: str
    samples: int
    size: int
    """In bytes."""


def write_shards(
    folder: Path,
    count: int,
    sample_at: Callable[[int], ShardSample],
    extension: str = "png",
    *,
    facts: dict[str, Any] | None = None,
    per_shard: int = SAMPLES_PER_SHARD,
    bar: Bar | None = None,
) -> list[Shard]:
    """Writes samples 0..count-1 to `folder/shards/shard-00000.tar` and so on, their index, timm's `_info.json` and the
    list of their checksums.

    The bytes depend on the samples only. Shards that an earlier, interrupted call finished are checked and kept.
    `facts` about the set as a whole are added to `_info.json`.
    """
    shards, records = folder / "shards", folder / "records"
    shards.mkdir(parents=True, exist_ok=True)
    records.mkdir(exist_ok=True)
    entries, sums, rows = [], {}, [np.empty(0, ROW)]
    for number, start in enumerate(range(0, count, per_shard)):
        path, record = shards / f"shard-{number:05}.tar", records / f"shard-{number:05}.sha256"
        stop = min(count, start + per_shard)
        sums[path.name] = _finished(path, record)
        if not sums[path.name]:
            _write_tar(path, range(start, stop), sample_at, extension)
            sums[path.name] = sha256_of(path)
            publish_bytes(record, sums[path.name].encode())
        rows.append(index_of(path, number))
        entries.append(Shard(path.name, stop - start, path.stat().st_size))
        if bar is not None:
            bar.update(stop / count)
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(rows), allow_pickle=False)
    publish_bytes(shards / INDEX, buffer.getvalue())
    publish_bytes(shards / INFO, json.dumps({**_timm_info(entries), "unpoison": facts or {}}, indent=1).encode())
    write_sums(shards, (INDEX, INFO), sums)
    return entries


def read_index(files: Checked) -> npt.NDArray[Any]:
    """The index of a folder of shards, `ROW` [M].

    Raises:
        DamagedError: it is missing or damaged.
    """
    index = files.array(INDEX, "V", 1)
    with parsing(files.folder / INDEX):
        if index.dtype != ROW:
            raise ValueError("it is of another kind")
    return index


class ShardReader:
    """Random access to the image members.

    It keeps no file open, so it can be pickled and shared between processes and threads.
    """

    def __init__(self, folder: Path) -> None:
        self._shards = folder / "shards"
        self._index = read_index(Checked(self._shards))

    def __len__(self) -> int:
        return len(self._index)

    def image(self, position: int) -> bytes:
        """The image file of the sample at a position.

        Raises:
            DamagedError: the shard is gone, or the image there is not the one that was written.
        """
        row = self._index[position]
        path = self._shards / f"shard-{row['shard']:05}.tar"
        try:
            file = only_regular(str(path), os.O_RDONLY)
            try:
                data = os.pread(file, row["size"], row["offset"])
            finally:
                os.close(file)
        except OSError as error:
            raise DamagedError(path, error.strerror or str(error)) from error
        check_image(data, row["image"], path, position)
        return data


def check_image(data: bytes, expected: npt.NDArray[np.uint8], path: Path, position: int) -> None:
    """Compares the image file of a sample with its sha256, uint8 [32].

    Raises:
        DamagedError: it is another one.
    """
    if hashlib.sha256(data).digest() != expected.tobytes():
        raise DamagedError(path, f"the image of sample {position} is not the one that was written")


def index_of(path: Path, number: int) -> npt.NDArray[Any]:
    """The part of the index, `ROW` [M], that belongs to the shard of this number."""
    rows = []
    with tarfile.open(path, "r:") as tar:
        members = iter(tar)
        for parts in zip(members, members, members, strict=True):
            found = {part.name.split(".")[1]: part for part in parts}
            label, facts = found.pop("cls"), found.pop("json")
            (image,) = found.values()
            texts = _content(tar, label) + _content(tar, facts)
            digests = (hashlib.sha256(data).digest() for data in (_content(tar, image), texts))
            rows.append((number, image.offset_data, image.size, *(np.frombuffer(d, np.uint8) for d in digests)))
    return np.array(rows, ROW)


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
        flush(temporary)
        temporary.replace(path)
    flush(path.parent)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _finished(path: Path, record: Path) -> str:
    """The sha256 of a shard that an earlier call finished, in hexadecimal; "" where there is none."""
    try:
        found = sha256_of(path)
        return found if read_regular(record) == found.encode() else ""
    except OSError:
        return ""


def _timm_info(entries: list[Shard]) -> dict[str, Any]:
    split = {
        "name": "train",
        "num_samples": sum(entry.samples for entry in entries),
        "filenames": [entry.name for entry in entries],
        "shard_lengths": [entry.samples for entry in entries],
    }
    return {"splits": {"train": split}}


def paths_of(folder: Path, entries: list[Shard]) -> list[Path]:
    """The shards of a finished folder.

    Raises:
        DamagedError: one is missing or has another size than recorded.
    """
    paths = [folder / "shards" / entry.name for entry in entries]
    for path, entry in zip(paths, entries, strict=True):
        if not path.is_file() or path.stat().st_size != entry.size:
            raise DamagedError(path, f"it has not {entry.size} bytes")
    return paths
