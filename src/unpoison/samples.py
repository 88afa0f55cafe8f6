"""The table of a report: one row per sample, for other tools to show; and the same table after a person's review.

Tables are Arrow's. Files are Parquet, which keeps everything, or CSV. Other programs may have written them anew in
between: rows may be missing or in another order, and columns added; numbers and booleans come in their spelling.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .checks import AnyPath, check
from .data.files import check_regular, flush, temporary_name
from .data.outputs import is_free
from .errors import ConfigError, DatasetError
from .printable import printable
from .results import Results

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "position", "filepath", "label", "original_label", "score", "flagged", "kind", "action", "quality", "reason",
    "duplicate_of",
)  # fmt: skip
CONTENT = b"unpoison.content"
"""Key in the table's metadata of the digest of the images and labels."""
_ASKED = ("position", "original_label", "keep")
_PART = 1 << 19
_ANEW = "write it anew with write_samples or `unpoison report --samples`"
_OF_THIS = "pass the table that was made from the report on this dataset"


def samples_of(report: Results, images: str | Path | None) -> "pa.Table":
    """What `Report.samples` gives."""
    import pyarrow as pa

    table = pa.table(
        {
            "position": pa.array(np.arange(len(report))),
            "filepath": _paths(report, images),
            "label": _classes(report.label, report.class_names),
            "original_label": _classes(report.original_label, report.class_names),
            "score": pa.array(report.score.astype(np.float32)),
            "flagged": pa.array(report.flagged),
            "kind": _words(report.kind),
            "action": _words(report.action),
            "quality": pa.array(report.quality.astype(np.float32)),
            "reason": _words(report.reason if len(report.reason) else np.full(len(report), None)),
            "duplicate_of": _positions(report.duplicate_of, len(report)),
        }
    )
    return table.replace_schema_metadata({CONTENT: report.content.encode()})


def _paths(report: Results, images: str | Path | None) -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    if report.files is None:
        if images is not None:
            raise ConfigError("the report names no files of images: leave out the folder of the images")
        return pa.chunked_array([pa.nulls(len(report), pa.string())])
    # Arrow splits faster than Python, whose strings would also take twice the memory.
    packed = report.files.packed.decode(errors="surrogateescape")
    names = pc.split_pattern(pa.array([printable(packed)], pa.large_string()), "\0").flatten()
    if images is not None:
        first = packed.strip("\0").partition("\0")[0]
        if not Path(images, first).exists():
            raise ConfigError(f"{first} is not in {images}: name the folder in which the images are so called")
    folder = printable(report.files.folder if images is None else Path(images).absolute().as_posix())
    start, missing = folder if folder in ("", "/") else f"{folder}/", pa.scalar(None, pa.string())
    # In parts, because one array of strings holds two gigabytes.
    parts = (names.slice(begin, _PART).cast(pa.string()) for begin in range(0, len(names), _PART))
    return pa.chunked_array(
        [pc.if_else(pc.equal(part, ""), missing, pc.binary_join_element_wise(start, part, "")) for part in parts],
        pa.string(),
    )


def _classes(labels: npt.NDArray[np.int64], names: list[str] | None) -> "pa.DictionaryArray":
    """Names of classes; null for negative numbers."""
    import pyarrow as pa

    found, codes = np.unique(labels, return_inverse=True)
    texts = pa.array(
        [None if label < 0 else printable(class_text(label, names)) for label in found.tolist()], pa.string()
    )
    return texts.take(pa.array(codes)).dictionary_encode()


def _positions(values: npt.NDArray[np.int64], count: int) -> "pa.Int64Array":
    """Null for negative ones, and all where there are no values."""
    import pyarrow as pa

    return pa.array(values, mask=values < 0) if len(values) else pa.nulls(count, pa.int64())


def _words(values: npt.NDArray[Any]) -> "pa.DictionaryArray":
    import pyarrow as pa

    # From a list Arrow converts faster than from an array of strings.
    return pa.array(values.tolist(), pa.string()).dictionary_encode()


def write_samples(table: "pa.Table", path: str | Path) -> Path:
    """Writes a table as `.parquet` or `.csv`, in one step; returns the path.

    In CSV an empty field is null, and a quoted one is text. The digest of the content is only kept in Parquet.

    Raises:
        ConfigError: the name ends otherwise, the file cannot be written, or something else is there than such a table
            without further columns, which may be a person's review.
    """
    import pyarrow as pa

    check("table", table, pa.Table)
    path = Path(check("path", path, AnyPath))
    suffix = _suffix(path)
    check_table(path, table.column_names)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_name(path) as temporary:
            if suffix == ".parquet":
                import pyarrow.parquet

                pyarrow.parquet.write_table(table, temporary)
            else:
                import pyarrow.csv

                pyarrow.csv.write_csv(table, temporary)
            flush(temporary)
            temporary.replace(path)
        flush(path.parent)
    except OSError as error:
        raise ConfigError(f"cannot write {path} ({error}): choose another path") from error
    return path


def check_table(path: Path, columns: Sequence[str] = COLUMNS) -> None:
    """Makes sure that a table replaces nothing but a table of samples, with no other columns than it has itself.

    Raises:
        ConfigError: there is something else.
    """
    if is_free(path):
        return
    found = set(_column_names(path))
    if "position" not in found or not found <= set(columns):
        raise ConfigError(
            f"{path} is there, and its columns ({', '.join(sorted(found)) or 'none'}) "
            "are not those of a table of samples: choose another path"
        )


def _column_names(path: Path) -> list[str]:
    """Of a table's file; none where there is something else."""
    import pyarrow as pa

    try:
        check_regular(path)
        if _suffix(path) == ".parquet":
            import pyarrow.parquet

            return list(pyarrow.parquet.read_schema(path).names)
        import pyarrow.csv

        with pyarrow.csv.open_csv(path) as stream:
            return list(stream.schema.names)
    except (pa.ArrowException, OSError, ValueError):
        return []


def read_samples(source: Any) -> "pa.Table":
    """Reads a table of samples after review: that of `Report.samples` with a boolean column `keep`.

    Args:
        source: a `.parquet` or `.csv` file, or a table in memory, of Arrow or of what Arrow reads, such as pandas. Rows
            may be left out and be in any order; further columns are not looked at.

    Returns:
        `position` int64, each once; `original_label` string; `keep` bool: true for a sample that is to be served as it
        came, false or null where the method decides. The digest of the content is in the metadata, where the source
        has it. Whether the table is of a certain dataset is for `check_samples` to say.

    Raises:
        ConfigError: the file is missing, of another type or damaged, a column is missing, or `position` or `keep` holds
            something else.
    """
    import pyarrow as pa

    name = str(source) if isinstance(source, str | os.PathLike) else "the table"
    try:
        table = _read(Path(source)) if isinstance(source, str | os.PathLike) else pa.table(source)
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {name}: check the path") from error
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{name} cannot be read as a table of samples ({error}): {_ANEW}") from error
    missing = [column for column in _ASKED if table.column_names.count(column) != 1]
    if missing:
        add = "add it, true for each sample to keep" if missing == ["keep"] else f"keep all columns, or {_ANEW}"
        raise ConfigError(f"{name} has no column {', '.join(missing)}: {add}")
    columns = {}
    for column, kind in zip(_ASKED, (pa.int64(), pa.string(), pa.bool_()), strict=True):
        try:
            columns[column] = _cast(table[column], kind)
        except (pa.ArrowException, ValueError) as error:
            raise ConfigError(f"column {column} of {name} holds something else than {kind}: {error}") from error
    position = columns["position"]
    if position.null_count or len(position.unique()) != len(position):
        raise ConfigError(f"a row of {name} lacks its position, or a position is there twice: keep one row per sample")
    content = (table.schema.metadata or {}).get(CONTENT)
    return pa.table(columns, metadata=None if content is None else {CONTENT: content})


def check_samples(
    table: "pa.Table", *, content: str, labels: npt.NDArray[np.int64], names: list[str] | None = None
) -> None:
    """Checks that a table that `read_samples` gave is of a dataset.

    The digest of the content decides where the table has it. CSV files, and files that other programs wrote anew, lack
    it: then no position may be beyond the dataset, and each row's `original_label` must be the class there. A dataset
    with other images and the same sequence of classes is not recognised.

    Args:
        content: sha256 of the dataset's images and labels, in hexadecimal.
        labels: int64 [N]; its class numbers as they came.
        names: of the classes by number, where they are known.

    Raises:
        DatasetError: the table is of another dataset.
    """
    written = (table.schema.metadata or {}).get(CONTENT, b"").decode("ascii", "replace")
    if written and content and written != content:
        raise DatasetError(f"the reviewed table is of other images or labels: {_OF_THIS}")
    position = table["position"].to_numpy()
    beyond = position[(position < 0) | (position >= len(labels))]
    if len(beyond):
        raise DatasetError(
            f"the reviewed table has position {beyond[0]} and the dataset {len(labels)} items: {_OF_THIS}"
        )
    found = table["original_label"].combine_chunks().dictionary_encode()
    spellings = [_spelling(text) for text in found.dictionary.to_pylist()]
    codes = found.indices.fill_null(-1).to_numpy().astype(np.int64)
    expected, places = np.unique(labels[position], return_inverse=True)
    wanted = [_spelling(printable(class_text(label, names))) for label in expected.tolist()]
    pairs, rows = np.unique(codes * len(expected) + places, return_index=True)
    for pair, row in zip(pairs.tolist(), rows.tolist(), strict=True):
        code, place = divmod(pair, len(expected))
        # pandas takes class names such as "NA" for missing: where there is no name, there is nothing to compare.
        if code >= 0 and spellings[code] != wanted[place]:
            raise DatasetError(
                f"the reviewed table says that item {position[row]} came as {found.dictionary[code].as_py()!r}, but "
                f"its class is {class_text(int(expected[place]), names)!r}: {_OF_THIS}"
            )


def class_text(label: int, names: list[str] | None) -> str:
    """A class by its name, or its number as text where it has none."""
    return names[label] if names is not None and 0 <= label < len(names) else str(label)


def _spelling(text: str) -> str:
    """The same for all spellings of a number: programs that read "007" or "7" from CSV may write "7" or "7.0"."""
    for number in (int, float):  # floats merge whole numbers above 2**53
        with suppress(ValueError, OverflowError):
            return str(int(number(text)))
    return text


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise ConfigError(f"{path} is neither .parquet nor .csv: name a file that ends so")
    return suffix


def _read(path: Path) -> "pa.Table":
    suffix = _suffix(path)
    check_regular(path)
    if suffix == ".parquet":
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            return file.read([name for name in _ASKED if name in file.schema_arrow.names])
    import pyarrow as pa
    import pyarrow.csv

    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with pyarrow.csv.open_csv(path, parse_options=parse) as stream:
        names = [name for name in _ASKED if name in stream.schema.names]
    # "NA" and the like are names, too: only what is empty and unquoted is null.
    convert = pyarrow.csv.ConvertOptions(
        include_columns=names,
        column_types={"original_label": pa.string()},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert) if names else pa.table({})


def _cast(column: "pa.ChunkedArray", kind: "pa.DataType") -> "pa.ChunkedArray":
    """To the type, where nothing is lost.

    Raises:
        ArrowException, ValueError: something would be lost.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    # Programs that know no null among booleans write 1.0 and 0.0.
    if pa.types.is_boolean(kind) and not set(column.unique().to_pylist()) <= {0, 1, None}:
        raise ValueError("use true and false")
    return column.cast(kind)
