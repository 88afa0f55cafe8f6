"""Datasets that are to be cleaned, as others made them: tars and Parquet files. Their content is the data, so that
nothing can be compared."""

import io
import shutil
import tarfile

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from hypothesis import strategies as st
from PIL import Image

import corner  # noqa: F401  # registers the method
from archives import PACKED, TAR
from harmless import harmless
from mutations import BYTES, mutated, several
from unpoison import Sanitizer
from unpoison.data.sources import open_source


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def tar_of(images, labels):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            for end, content in (("png", png(image)), ("cls", b"%d" % label), ("json", b"{}")):
                member = tarfile.TarInfo(f"{number:03}.{end}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def clean(path, tmp_path, hugging_face):
    """Opens a source and cleans it, as far as it can be."""

    def use():
        rows = open_source(str(path))
        return Sanitizer("corner", on_poison="keep", on_unreadable="skip").fit(rows)

    shutil.rmtree(hugging_face, ignore_errors=True)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    return harmless(use, [hugging_face, tmp_path / "cache"], path.stat().st_size)


def test_tar(fuzz, images_and_labels, tmp_path, hugging_face):
    images, labels = images_and_labels
    data, path = tar_of(images[:9], labels[:9]), tmp_path / "x.tar"

    def use(case):
        path.write_bytes(mutated(data, case))
        clean(path, tmp_path, hugging_face)

    edits = several(st.one_of(BYTES, TAR, TAR))
    fuzz(st.one_of(edits, st.tuples(edits, PACKED).map(lambda both: [*both[0], both[1]])), 60, use)


_NUMBERS = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.floats())
_ODD = st.one_of(st.none(), _NUMBERS, st.text(max_size=5), st.binary(max_size=9), st.just("\0"))
_FILES = st.sampled_from(
    [
        None,
        {"bytes": None, "path": None},
        {"bytes": None, "path": "../x.png"},
        {"bytes": None, "path": "/dev/zero"},
        {"bytes": b"", "path": ""},
        {"bytes": b"x", "path": "\0"},
    ]
)
_TYPES = (
    pa.int64(), pa.int8(), pa.uint64(), pa.string(), pa.large_string(), pa.binary(), pa.float64(), pa.bool_(),
    pa.list_(pa.int64()), pa.null(), pa.timestamp("us"), pa.dictionary(pa.int32(), pa.string()),
)  # fmt: skip


@st.composite
def tables(draw, images, labels):
    """A table whose columns are nearly those of images and labels."""
    count = len(images)
    files = [{"bytes": png(image), "path": None} for image in images]
    classes = [int(label) for label in labels]
    for place in draw(st.lists(st.integers(0, count - 1), max_size=3)):
        files[place] = draw(_FILES)
    values = draw(st.sampled_from([classes, [draw(_ODD) for _ in classes]]))
    kind = draw(st.sampled_from(_TYPES))
    try:
        column = pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        column = pa.array(classes)
    file = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    shape = draw(st.sampled_from(["file", "bytes", "list", "twice"]))
    if shape == "file":
        image = pa.array(files, file)
    elif shape == "bytes":
        image = pa.array([draw(st.binary(max_size=5)) for _ in images])
    else:
        image = pa.array([np.asarray(pixels)[..., 0].tolist() for pixels in images])
    names = draw(st.sampled_from(["image", "img", "", "a.b", "\0"])), draw(st.sampled_from(["label", "x"]))
    columns = dict(zip(names, (image, column), strict=True))
    if shape == "twice":
        columns["other"] = pa.array(files, file)
    return pa.table(columns)


def parquet(table, **options):
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, **options)
    return buffer.getvalue()


def test_parquet(fuzz, images_and_labels, tmp_path, hugging_face):
    images, labels = (values[:9] for values in images_and_labels)
    rows = [{"image": Image.fromarray(image), "label": int(label)} for image, label in zip(images, labels, strict=True)]
    plain = datasets.Dataset.from_list(rows)
    plain.to_parquet(tmp_path / "plain.parquet")
    data, path = (tmp_path / "plain.parquet").read_bytes(), tmp_path / "x.parquet"

    def use(case):
        path.write_bytes(case if isinstance(case, bytes) else mutated(data, case))
        clean(path, tmp_path, hugging_face)

    fuzz(st.one_of(several(BYTES), tables(images, labels).map(parquet)), 60, use)
