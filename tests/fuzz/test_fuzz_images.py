"""Image files of every format that is decoded."""

import pytest
from hypothesis import strategies as st

import corner
import picture_files
from harmless import harmless
from mutations import BYTES, mutated, several
from unpoison.data.eight_bit import Levels, to_eight_bit
from unpoison.data.encoded import Encoded
from unpoison.data.formats import readable, reviewed
from unpoison.data.images import fingerprint, peak


def seen(data, formats):
    """All that is asked about an image file."""
    image = Encoded(data, rotate=True, formats=formats)
    fingerprint(image, 0)
    assert image.size[0] * image.size[1] <= 1 << 19
    return image.extension, image.mode, peak(image), to_eight_bit(image, Levels())


@pytest.mark.filterwarnings("ignore:.* image format is deprecated:DeprecationWarning")
def test_images(fuzz, monkeypatch, tmp_path):
    monkeypatch.setenv("UNPOISON_MAX_PIXELS", str(1 << 19))
    pixels = corner.make_images(size=16)[0][0]
    files = {form: picture_files.encode(pixels, form) for form in (*readable(), "MPO")}

    def use(case):
        form, edits, of_stranger = case
        data = mutated(files[form], edits)
        harmless(lambda: seen(data, reviewed() if of_stranger else None), [], len(data))

    fuzz(st.tuples(st.sampled_from(sorted(files)), several(BYTES), st.booleans()), 300, use)
