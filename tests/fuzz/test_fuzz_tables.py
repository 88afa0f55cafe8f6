"""Reviewed tables of samples, which `keep=` reads: CSV and Parquet."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from hypothesis import strategies as st

from harmless import harmless
from mutations import BYTES, mutated, several
from unpoison import Sanitizer
from unpoison.errors import UnpoisonError
from unpoison.review import Review
from unpoison.samples import write_samples

_FIELD = st.sampled_from(
    [
        "", '""', "0", "1", "-1", "1e3", "NaN", "inf", "99999999999999999999", "true", "True", "no", '"', '"\n"', ",",
        "\0", "\ufeff", "position", "keep", "x" * 5000, "\n" * 50, "2020-01-01", "0x10", "1_000", "٣", "'",
    ]
)  # fmt: skip
_COLUMNS = st.lists(st.sampled_from(["position", "keep", "original_label", "x", ""]), min_size=1, max_size=5)


@st.composite
def texts(draw):
    """CSV of other values and columns."""
    lines = [draw(_COLUMNS), *draw(st.lists(st.lists(_FIELD, max_size=5), max_size=6))]
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(",".join(line) for line in lines).encode()


_TYPES = (
    pa.int64(), pa.uint64(), pa.float64(), pa.string(), pa.bool_(), pa.binary(), pa.null(), pa.list_(pa.int64()),
    pa.dictionary(pa.int8(), pa.string()), pa.timestamp("us"), pa.decimal128(38, 3), pa.struct({"a": pa.int64()}),
)  # fmt: skip
_VALUES = st.sampled_from([None, 0, 1, -1, 1 << 62, 0.5, float("nan"), "1", "", "NA", True, b"\xff", [1], {"a": 1}])


@st.composite
def tables(draw):
    """Parquet of columns of other types."""
    count, columns = draw(st.integers(0, 4)), {}
    for name in draw(_COLUMNS):
        values = [draw(_VALUES) for _ in range(count)]
        try:
            columns[name] = pa.array(values, draw(st.sampled_from(_TYPES)))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            columns[name] = pa.array(range(count))
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def kept(path):
    review = Review.of(path)
    return review.mask("", np.arange(24) % 3, None)


def test_tables(fuzz, pairs, tmp_path):
    table = Sanitizer("corner").fit(pairs).samples()
    table = table.append_column("keep", pa.array([position == 3 for position in range(len(table))]))
    for end in ("csv", "parquet"):
        write_samples(table, tmp_path / f"x.{end}")
    files = {end: (tmp_path / f"x.{end}").read_bytes() for end in ("csv", "parquet")}

    def use(case):
        end, change = case
        path = tmp_path / f"y.{end}"
        path.write_bytes(change if isinstance(change, bytes) else mutated(files[end], change))
        found = harmless(lambda: kept(path), [], path.stat().st_size)
        if isinstance(found, UnpoisonError):
            assert str(path) in str(found) or "table" in str(found) or "keep" in str(found)

    csv = st.tuples(st.just("csv"), st.one_of(several(BYTES), texts()))
    fuzz(st.one_of(csv, st.tuples(st.just("parquet"), st.one_of(several(BYTES), tables()))), 300, use)
