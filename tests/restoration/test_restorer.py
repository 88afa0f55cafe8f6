import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from listed import relist
from restorers import make_restorer
from unpoison.context import Context
from unpoison.errors import RestorerError
from unpoison.restoration import FAST, RestorationConfig, Restorer, train_restorer
from unpoison.restoration.networks import MultiGranularityDiscriminator
from unpoison.triggers import search_trigger, triggers


@pytest.fixture(scope="module")
def restorer(case) -> Restorer:
    trigger = search_trigger(case.images, case.flagged, case.probabilities)
    return train_restorer(case.images, case.flagged, trigger, FAST)


def test_restored_pixels_are_far_closer_than_doing_nothing(case, restorer):
    restored = restorer(torch.from_numpy(case.images[case.poisoned])).numpy()
    assert case.error(restored) < case.error(case.images[case.poisoned]) / 3


def test_clean_images_pass_through(case, restorer):
    clean = case.images[~case.poisoned]
    passed = restorer(torch.from_numpy(clean)).numpy()
    assert np.abs(passed.astype(int) - clean).mean() / 255 < 0.002


def test_same_seed_same_restorer(case):
    trigger = search_trigger(case.images, case.flagged, case.probabilities)
    first, second = (train_restorer(case.images, case.flagged, trigger, FAST, Context(seed=4)) for _ in range(2))
    images = torch.from_numpy(case.images[:100])
    assert torch.equal(first(images), second(images))


def test_without_an_explanation_images_are_left_alone(case):
    restorer = train_restorer(case.images, case.flagged, None, FAST)
    images = torch.from_numpy(case.images[case.poisoned])
    assert torch.equal(restorer(images), images)


def test_the_papers_cyclegan_trains_and_changes_pixels(case):
    config = RestorationConfig(
        use_estimate=False,
        cyclegan_epochs=1,
        cyclegan_max_steps=3,
        width=4,
        transformer_depth=1,
        batch_size=16,
        residual=False,
        positions=False,
        max_clean_error=None,
    )
    restorer = train_restorer(case.images, case.flagged, None, config)
    images = torch.from_numpy(case.images[:10])
    assert not torch.equal(restorer(images), images)


def test_the_cyclegan_is_held_to_the_error_it_may_make_on_clean_images(case):
    config = RestorationConfig(
        cyclegan_epochs=1, cyclegan_max_steps=8, width=4, transformer_depth=1, batch_size=16, residual=False
    )
    restorer = train_restorer(case.images, case.flagged, None, config)
    clean = case.images[~case.poisoned]
    passed = restorer(torch.from_numpy(clean)).numpy()
    assert np.abs(passed.astype(int) - clean).mean() / 255 < 0.008


@pytest.mark.parametrize("kind", ["none", "patch", "moving patch", "blend", "warp"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (13, 9, 3), (32, 32, 3), (50, 70, 1), (256, 256, 3)])
def test_sizes_and_channels(shape, kind):
    height, width, channels = shape
    restorer = make_restorer(height=height, width=width, channels=channels, kind=kind)
    if "patch" in kind:
        restorer.trigger.scale[:, 2:4, 2:4] = 0
    images = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
    restored = restorer(images)
    assert restored.shape == images.shape
    assert restored.dtype == torch.uint8


def test_saved_and_loaded_restorers_agree_bit_by_bit(case, restorer, tmp_path):
    loaded = Restorer.from_pretrained(restorer.save_pretrained(tmp_path / "r"))
    images = torch.from_numpy(case.images[:200])
    assert torch.equal(loaded(images), restorer(images))
    assert loaded.architecture == restorer.architecture
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        "README.md", "SHA256SUMS", "config.json", "model.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["none", *(trigger.kind for trigger in triggers())])
def test_every_kind_is_saved_and_loaded(kind, tmp_path):
    restorer = make_restorer(kind=kind)
    loaded = Restorer.from_pretrained(restorer.save_pretrained(tmp_path / "r"))
    assert loaded.architecture.kind == kind
    assert {name: value.tolist() for name, value in loaded.state_dict().items()} == {
        name: value.tolist() for name, value in restorer.state_dict().items()
    }


def damage_config(folder, **changes):
    facts = json.loads((folder / "config.json").read_text())
    facts.update(changes)
    (folder / "config.json").write_text(json.dumps({key: value for key, value in facts.items() if value != "gone"}))


def damage_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "No such file"),
        (lambda f: (f / "model.safetensors").unlink(), "No such file"),
        (lambda f: (f / "config.json").write_text("{"), "Expecting property name"),
        (lambda f: (f / "config.json").write_text("[]"), "Expected `object`"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x80\x04 pickle"), "cannot read"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-7]), "cannot read"),
        (lambda f: damage_config(f, model_type="bert"), r"\$.model_type"),
        (lambda f: damage_config(f, format=99), "newer unpoison: upgrade"),
        (lambda f: damage_config(f, format=0), "another format"),
        (lambda f: damage_config(f, height=10**9), "8..256"),
        (lambda f: damage_config(f, generator_width=10**6), "1..256"),
        (lambda f: damage_config(f, generator_width=True), r"\$.generator_width"),
        (lambda f: damage_config(f, kind="magic"), "unknown kind of trigger 'magic'"),
        (lambda f: damage_config(f, residual="gone"), "missing required field `residual`"),
        (lambda f: damage_config(f, code="import os"), "unknown entries"),
        (lambda f: damage_config(f, height=16), "instead of"),
        (lambda f: damage_config(f, positions=False), "instead of"),
        (lambda f: damage_weights(f, lambda t: t.pop("strength")), "does not fit"),
        (lambda f: damage_weights(f, lambda t: t.update(extra=torch.zeros(1))), "does not fit"),
        (lambda f: damage_weights(f, lambda t: t["strength"].fill_(float("nan"))), "not finite"),
        (lambda f: damage_weights(f, lambda t: t.update(strength=torch.ones((), dtype=torch.float64))), "instead of"),
    ],
)
def test_wrong_files_are_refused_with_one_clear_error(tmp_path, damage, message):
    folder = make_restorer().save_pretrained(tmp_path / "r")
    damage(folder)
    with pytest.raises(RestorerError, match=message):
        Restorer.from_pretrained(relist(folder))


@pytest.mark.parametrize("kind", ["none", "patch", "warp"])
def test_tensors_that_every_trigger_had_in_earlier_versions_are_passed_over(kind, tmp_path):
    restorer = make_restorer(kind=kind)
    folder = restorer.save_pretrained(tmp_path / "r")
    maps, numbers = ("scale", "shift", "direction"), {"tolerance": (), "contrast": (2,), "calibration": (4,)}
    had = {f"estimate.{name}": torch.ones(3, 8, 8) for name in maps}
    had |= {f"estimate.{name}": torch.ones(shape) for name, shape in numbers.items()}
    damage_weights(folder, lambda tensors: tensors.update(had | tensors))
    again = Restorer.from_pretrained(relist(folder))
    assert list(again.state_dict()) == list(restorer.state_dict())
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(again(images), restorer(images))


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(RestorerError, match="nowhere"):
        Restorer.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 8, 8, 1), torch.zeros(1, 9, 8, 1, dtype=torch.uint8), torch.zeros(8, 8, dtype=torch.uint8)],
)
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(RestorerError, match="restorer takes"):
        make_restorer(channels=1)(images)


@pytest.mark.parametrize("side", [7, 257])
def test_unsupported_sizes_are_refused(side):
    images = np.zeros((20, side, side, 1), np.uint8)
    with pytest.raises(RestorerError, match="resize"):
        train_restorer(images, np.arange(20) < 9, None, FAST)


def test_plain_unet_and_single_granularity_are_other_networks_that_work(case):
    config = RestorationConfig(
        cyclegan_epochs=1, cyclegan_max_steps=3, width=4, batch_size=16, transformer_depth=0, granularities=1
    )
    restorer = train_restorer(case.images, case.flagged, None, config)
    assert not any("transformer" in name or "positions" in name for name in restorer.state_dict())
    images = torch.from_numpy(case.images[:4])
    assert restorer(images).shape == images.shape
    sizes = [
        sum(parameter.numel() for parameter in MultiGranularityDiscriminator(3, (32, 32), granularities=n).parameters())
        for n in (1, 2, 3)
    ]
    assert sizes == sorted(set(sizes))
    float_images = torch.rand(2, 3, 32, 32)
    one = MultiGranularityDiscriminator(3, (32, 32), granularities=1)
    assert one(float_images).shape == (2,)
    # Not only the first corner counts.
    changed = float_images.clone()
    changed[:, :, 16:, 16:] = 0
    assert not torch.equal(one(float_images), one(changed))
