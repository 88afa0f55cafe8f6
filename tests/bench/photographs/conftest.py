"""Photographs that nobody took."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

CLASSES = ["hat", "shirt", "dress"]


@pytest.fixture
def album(tmp_path, monkeypatch):
    """$UNPOISON_DATA with 40 photographs of each of three classes to clean, and 4 of each to test."""
    root, rng = tmp_path / "data", np.random.default_rng(0)
    (root / "clothing").mkdir(parents=True)
    names = {"info": {"features": {"label": {"names": CLASSES}}}}
    for split, each in (("train", 40), ("test", 4)):
        labels = rng.permutation(np.repeat(np.arange(3), each))
        encoded = [{"bytes": _photograph(label, rng), "path": ""} for label in labels]
        table = pa.table({"image": encoded, "label": labels})
        table = table.replace_schema_metadata({"huggingface": json.dumps(names)})
        pyarrow.parquet.write_table(table, root / "clothing" / f"{split}.parquet")
    monkeypatch.setenv("UNPOISON_DATA", str(root))
    return root


def _photograph(label, rng):
    """One class is red, one green, one blue; sizes differ."""
    pixels = rng.integers(60, 120, (4, 4, 3), dtype=np.uint8)
    pixels[..., label] += 90
    size = (50, 66) if rng.random() < 0.7 else (66, 50)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=80)
    return stream.getvalue()
