"""Restorers: `config.json`, safetensors, checksums and the model card."""

import torch
from hypothesis import strategies as st

from archives import edits_for
from folders import cases, changed
from harmless import harmless
from mutations import JSON, Header
from restorers import make_restorer
from unpoison import Restorer
from unpoison.errors import UnpoisonError

IMAGES = torch.arange(2 * 8 * 8 * 3).reshape(2, 8, 8, 3).to(torch.uint8)


def edits(name):
    return st.one_of(edits_for(name), st.builds(Header, JSON)) if name.endswith(".safetensors") else edits_for(name)


def restored(folder):
    """What a restorer makes of images; it is then saved in the same place, over what lies there."""
    restorer = Restorer.from_pretrained(folder)
    restorer.save_pretrained(folder)
    return restorer(IMAGES) if restorer.architecture.height == restorer.architecture.width == 8 else None


def test_restorer(fuzz, tmp_path):
    folder = make_restorer().save_pretrained(tmp_path / "restorer")
    expected = harmless(lambda: restored(folder), [folder])

    def use(case):
        with changed(folder, case) as size:
            found = harmless(lambda: restored(folder), [folder], size or 0)
            if not isinstance(found, UnpoisonError) and not case.listed:
                assert torch.equal(found, expected)

    fuzz(cases(folder, edits), 100, use)
