"""How fast photographs of 12 megapixels are looked at and copied at the size that methods work on.

    python benchmarks/photographs_speed.py [--images 240] [--workers 2] [--out benchmarks/results/photographs-cpu.json]

Images per second, of the clock and of the processors, of the survey and the working copy together: in turn as it is,
and with every file decoded at full size. Beside them the time to try eight photographs before that, which is the same
for sets of any length. The photographs are those of `clothing` in $UNPOISON_DATA, enlarged to 4000 x 3000 pixels and
saved as JPEG files of quality 90: as they are, and with noise as of a camera, which makes the files larger.
"""

import io
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from unpoison.data import decoding
from unpoison.data.access import RawView
from unpoison.data.store import ImageStore
from unpoison.data.surveying import survey
from unpoison_bench.data import images_file
from unpoison_bench.machine import machine_facts
from unpoison_bench.scripts import save, script_parser

ROUNDS, MADE, CLASSES = 3, 16, 2
SIZE, QUALITY, NOISE = (4000, 3000), 90, {"as they are": 0.0, "with noise": 4.0}
FULL = 1 << 20
"""Times the working copy: no file is as large."""


def make_files(folder: Path, count: int, noise: float) -> int:
    """JPEG files, each with bytes of its own; their mean size in bytes."""
    import pyarrow.parquet

    rng = np.random.default_rng(0)
    table = pyarrow.parquet.read_table(images_file("clothing", "train"), columns=["image"])
    rows = table.take(rng.permutation(len(table))[: min(count, MADE)])["image"].to_pylist()
    made = []
    for row in rows:
        photograph = Image.open(io.BytesIO(row["bytes"])).convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)
        grain = rng.normal(0, noise, (*SIZE[::-1], 1)) if noise else 0
        buffer = io.BytesIO()
        pixels = np.clip(np.asarray(photograph) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(buffer, "jpeg", quality=QUALITY)
        made.append(buffer.getvalue())
    for number in range(count):
        place = folder / f"{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        # What follows the image is not decoded.
        (place / f"{number:06}.jpg").write_bytes(made[number % len(made)] + number.to_bytes(4, "big"))
    return round(statistics.mean(map(len, made)))


def look_and_copy(view: RawView, oversize: int, workers: int) -> tuple[float, float]:
    """Seconds of the clock, and of all processors."""
    with mock.patch.object(decoding, "OVERSIZE", oversize), tempfile.TemporaryDirectory() as folder:
        start, used = time.perf_counter(), sum(os.times()[:4])
        found = survey(view, num_workers=workers)
        ImageStore.build(view, found, folder, num_workers=workers)
        return time.perf_counter() - start, sum(os.times()[:4]) - used


def measure(folder: Path, count: int, noise: float, workers: int) -> dict[str, Any]:
    size = make_files(folder, count, noise)
    start = time.process_time()
    view = RawView(ImageFolder(folder))
    tried = time.process_time() - start
    ways = {"at full size": FULL, "as it is": decoding.OVERSIZE}
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, oversize in ways.items():
            seconds[way].append(look_and_copy(view, oversize, workers))
    rates = {
        way: {
            clock: statistics.median(count / one[place] for one in rounds)
            for place, clock in enumerate(("images_per_second", "images_per_processor_second"))
        }
        for way, rounds in seconds.items()
    }
    return {"mean_bytes": size, "seconds_to_try": tried, **rates, "rounds": seconds}


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    facts = machine_facts(torch.device("cpu"))
    result: dict[str, Any] = {"images": arguments.images, "size": SIZE, "workers": arguments.workers}
    for name, noise in NOISE.items():
        with tempfile.TemporaryDirectory() as scratch:
            found = result[name] = measure(Path(scratch) / "photographs", arguments.images, noise, arguments.workers)
        for way in ("at full size", "as it is"):
            print(
                f"{name}, {found['mean_bytes'] / 1e6:.1f} MB, {way}: {found[way]['images_per_second']:.1f} images/s, "
                f"{found[way]['images_per_processor_second']:.1f} per second of a processor"
            )
    save(arguments, {**result, "machine": facts})


if __name__ == "__main__":
    main()
