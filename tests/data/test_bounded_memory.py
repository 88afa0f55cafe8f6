"""Memory follows the working copy, and not the size of the images that it is made of."""

import subprocess
import sys

import pytest

PROGRAM = """
import io, resource, sys, tempfile
from pathlib import Path
import numpy as np
from PIL import Image
from torchvision.datasets import ImageFolder
from unpoison.data.access import RawView
from unpoison.data.store import ImageStore
from unpoison.data.surveying import survey

def jpeg(height, width):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "jpeg", quality=85)
    return buffer.getvalue()

class Made:
    # Photographs of a file's content, each made when it is asked for; every third of them is damaged.
    def __init__(self, data, count):
        self.data, self.count = data, count
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        data = self.data + index.to_bytes(4, "big")
        image = Image.open(io.BytesIO(data if index % 3 else data[: len(data) // 2]))
        image.load()
        return image, index % 2

def folder(data, count):
    place = Path(tempfile.mkdtemp(dir=sys.argv[1]))
    (place / "content").write_bytes(data)
    for number in range(count):
        path = place / "set" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(place / "content")
    return ImageFolder(place / "set")

def peak(dataset):
    view = RawView(dataset)
    found = survey(view, num_workers=0, on_unreadable="skip")
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as place:
        ImageStore.build(view, found, place, num_workers=0, on_unreadable="skip")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for content, count in ((jpeg(48, 64), 90), (jpeg(750, 1000), 90)):
    for make in (folder, Made):
        few = peak(make(content, 10))
        print(peak(make(content, count)) - few)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count in other units")
def test_large_photographs_need_no_more_than_thumbnails(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    growth = [int(line) for line in done.stdout.split()]
    # In KiB. The files have 50 MB in all, and the pixels of the damaged ones alone 66 MB.
    assert sum(growth[2:]) <= sum(growth[:2]) + 30 * 1024
