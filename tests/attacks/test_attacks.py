"""Every attack: what all have in common, and what its paper says."""

import re

import numpy as np
import pytest
import torch

from unpoison.attacks import ATTACKS, ISSBA, SIG, AdaptiveBlend, BadNets, Blend, Composite, Refool, WaNet
from unpoison.errors import ConfigError, DatasetError

LEARNING = ("issba", "refool", "composite")


def noise(size=(32, 32), channels=3, count=3, low=0, high=256):
    return np.random.default_rng(0).integers(low, high, (count, *size, channels), dtype=np.uint8)


def make(name):
    """An attack with its defaults; ISSBA hardly trained, but loud enough to be seen."""
    return ISSBA(steps=3, bound=100) if name == "issba" else ATTACKS[name]()


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize(
    ("size", "channels"), [((8, 8), 1), ((28, 28), 1), ((32, 32), 3), ((40, 64), 3), ((17, 11), 3), ((9, 13), 1)]
)
def test_contract(name, size, channels):
    images = noise(size, channels, count=5)
    before = images.copy()
    attack = make(name).fit(images)
    stamped = attack(images)
    assert stamped.shape == images.shape
    assert stamped.dtype == np.uint8
    assert (stamped != images).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(images, before)
    # Each image is stamped on its own, whatever comes before it or beside it.
    for place in (3, 0):
        np.testing.assert_array_equal(attack(images[place : place + 1]), stamped[place : place + 1])
    np.testing.assert_array_equal(attack(images[::-1]), stamped[::-1])
    np.testing.assert_array_equal(make(name).fit(images)(images), stamped)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_bare_batch_is_enough(name):
    images, attack = noise(), make(name)
    state = torch.get_rng_state()
    np.testing.assert_array_equal(attack(images), make(name).fit(images)(images))
    assert torch.equal(torch.get_rng_state(), state)
    # What was learnt from a batch does not stay: a dataset can still be learnt from.
    assert attack.fitted == (name not in LEARNING)
    assert attack.fit(images).fitted


@pytest.mark.parametrize("name", ATTACKS)
def test_no_image(name):
    assert make(name)(noise()[:0]).shape == (0, 32, 32, 3)
    with pytest.raises(DatasetError, match=f"{name} has no images to learn from"):
        make(name).fit(noise()[:0])


@pytest.mark.parametrize("name", ATTACKS)
def test_only_some_attacks_read_images(name):
    labels = np.arange(1000) % 10
    needed = make(name).needed(labels)
    assert bool(len(needed)) == (name in LEARNING)
    assert len(set(needed.tolist())) == len(needed)
    assert set(needed.tolist()) <= set(range(1000))


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize(("size", "channels"), [((32, 32), 1), ((24, 40), 3)])
def test_other_images_than_those_learnt_from(name, size, channels):
    attack = make(name).fit(noise((16, 16), 3))
    images = noise(size, channels)
    stamped = attack(images)
    assert stamped.shape == images.shape
    assert (stamped != images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_extreme_pixels_do_not_wrap(name):
    for level in (0, 255):
        flat = np.full((1, 32, 32, 3), level, np.uint8)
        change = make(name)(flat).astype(int) - flat
        # An overflow would turn black into white nearly everywhere.
        assert (np.abs(change) > 128).mean() <= 9 / 32**2


@pytest.mark.parametrize("name", ATTACKS)
def test_read_only_input(name):
    images = noise()
    images.flags.writeable = False
    assert make(name)(images).shape == images.shape


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("wrong", [noise().astype(np.float32), noise()[0], noise()[None]])
def test_wrong_input(name, wrong):
    with pytest.raises(DatasetError, match=r"takes uint8 images \[B,H,W,C\], got"):
        make(name)(wrong)
    with pytest.raises(DatasetError, match=r"takes uint8 images \[B,H,W,C\], got"):
        make(name).fit(wrong)


@pytest.mark.parametrize("name", ATTACKS)
def test_registered_by_name(name):
    assert ATTACKS[name].name == name


def test_sig_and_refool_leave_the_labels():
    assert [name for name, attack in ATTACKS.items() if attack.clean_label] == ["sig", "refool"]


def test_badnets_is_a_white_corner_of_three_pixels():
    images = noise(high=250)
    stamped = BadNets()(images)
    assert (stamped[:, -3:, -3:] == 255).all()
    changed = (stamped != images).any(axis=(0, 3))
    assert changed.sum() == 9
    assert changed[-3:, -3:].all()


def test_badnets_settings():
    stamped = BadNets(size=2, value=7, margin=1)(noise(low=20))
    rows, columns = np.nonzero((stamped == 7).all(axis=(0, 3)))
    assert sorted({*rows, *columns}) == [29, 30]
    with pytest.raises(DatasetError, match="a patch of 9 pixels at margin 0 does not fit into 8x8 images"):
        BadNets(size=9)(noise((8, 8)))


@pytest.mark.parametrize(("size", "side"), [((100, 60), 6), ((40, 90), 4), ((4, 4), 1)])
def test_badnets_of_a_share_of_the_shorter_side(size, side):
    changed = (BadNets(size=0.1)(noise(size, high=250)) == 255).all(axis=(0, 3))
    assert changed[-side:, -side:].all()
    assert changed.sum() == side**2
    with pytest.raises(ConfigError, match=r"size=1\.5"):
        BadNets(size=1.5)


@pytest.mark.parametrize(
    ("corner", "rows", "columns"),
    [("top left", (1, 2), (1, 2)), ("top right", (1, 2), (29, 30)), ("bottom left", (29, 30), (1, 2))],
)
def test_badnets_corners(corner, rows, columns):
    changed = (BadNets(size=2, margin=1, corner=corner)(noise(high=250)) == 255).all(axis=(0, 3))
    assert np.argwhere(changed).tolist() == [[row, column] for row in rows for column in columns]


def test_badnets_dynamic_position_is_uniform_and_its_own_for_each_image():
    images = noise((8, 8), 1, count=600, high=250)
    attack = BadNets(dynamic=True)
    stamped = attack(images)
    places = [tuple(np.argwhere(image[..., 0] == 255)[0].tolist()) for image in stamped]
    assert ((stamped == 255).sum(axis=(1, 2, 3)) == 9).all()
    # 6x6 places, about 17 images each.
    counts = [places.count((row, column)) for row in range(6) for column in range(6)]
    assert sum(counts) == 600
    assert min(counts) > 3
    assert max(counts) < 40
    assert (BadNets(dynamic=True, seed=1)(images) != stamped).any()


def test_blend_mixes_the_pattern():
    pattern = noise(count=1)[0]
    images = noise((32, 32))
    for alpha in (0.2, 0.05, 1.0):
        want = (1 - alpha) * images.astype(float) + alpha * pattern
        np.testing.assert_allclose(Blend(alpha=alpha, pattern=pattern)(images), want, atol=0.51)


def test_blend_is_published_at_a_fifth():
    attack = Blend()
    assert attack.alpha == 0.2
    black, white = (attack(np.full((1, 32, 32, 3), level, np.uint8)).astype(float) for level in (0, 255))
    # The pattern cancels: what stays of the image is its share.
    assert (white - black).mean() == pytest.approx(0.8 * 255, abs=1)
    assert black.mean() == pytest.approx(0.2 * attack.pattern.mean(), rel=0.05)


def test_blend_seed_draws_the_pattern():
    images = noise()
    assert (Blend(seed=1)(images) != Blend(seed=0)(images)).mean() > 0.5


def test_sig_adds_a_horizontal_sine():
    grey = np.full((2, 32, 32, 3), 128, np.uint8)
    change = SIG()(grey).astype(float) - 128
    assert np.abs(change).max() == pytest.approx(20, abs=0.6)
    # The same in every row, six periods per row.
    assert (change == change[:, :1]).all()
    spectrum = np.abs(np.fft.rfft(change[0, 0, :, 0]))
    assert spectrum.argmax() == 6
    assert spectrum[6] == pytest.approx(20 * 32 / 2, rel=0.03)
    column = np.arange(32)
    np.testing.assert_allclose(change[0, 0, :, 0], 20 * np.sin(2 * np.pi * column * 6 / 32), atol=0.51)


def test_sig_settings():
    change = SIG(delta=40, frequency=3)(np.full((1, 16, 16, 1), 128, np.uint8)).astype(float) - 128
    assert np.abs(change).max() == pytest.approx(40, abs=3.5)  # 16 columns may miss the crest
    assert np.abs(np.fft.rfft(change[0, 0, :, 0])).argmax() == 3


@pytest.mark.parametrize("size", [32, 64])
def test_wanet_moves_pixels_by_a_quarter_on_average(size):
    # s = 0.5 in units where the image spans 2: half of it in pixels, for a control grid of mean 1.
    flow = WaNet().flow(size, size) * size / 2
    assert flow.shape == (1, size, size, 2)
    assert 0.12 < float(flow.abs().mean()) < 0.4
    twice = WaNet(s=1.0).flow(size, size) * size / 2
    assert float(twice.abs().mean()) == pytest.approx(2 * float(flow.abs().mean()))
    assert float((flow[:, 1:] - flow[:, :-1]).abs().max()) < 0.5  # smooth


def test_wanet_moves_and_does_not_paint():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (64, 64, 3))[None].copy()
    moved = WaNet()(ramp).astype(float) - ramp
    horizontal = (WaNet().flow(64, 64)[0, :, :, 0] * 63 / 2).numpy()
    # A ramp of 4 levels per pixel shows the displacement; the borders are clamped.
    np.testing.assert_allclose(moved[0, 2:-2, 2:-2, 0] / 4, horizontal[2:-2, 2:-2], atol=0.2)
    flat = np.full((1, 32, 32, 3), 77, np.uint8)
    np.testing.assert_allclose(WaNet()(flat), flat, atol=1)


@pytest.mark.parametrize(
    ("attack", "settings"),
    [
        (BadNets, {"size": 0}),
        (BadNets, {"value": 256}),
        (BadNets, {"margin": -1}),
        (Blend, {"alpha": 0}),
        (Blend, {"alpha": 1.5}),
        (SIG, {"delta": 0}),
        (SIG, {"frequency": -1}),
        (WaNet, {"k": 1}),
        (WaNet, {"s": 0}),
        (BadNets, {"corner": "middle"}),
        (ISSBA, {"bits": 0}),
        (ISSBA, {"steps": -1}),
        (Refool, {"reflections": 0}),
        (Refool, {"size": -5}),
        (Composite, {"sources": [1, 1]}),
        (Composite, {"sources": [1, 2, 3]}),
        (Composite, {"jitter": -1}),
        (AdaptiveBlend, {"pieces": 15}),
        (AdaptiveBlend, {"masked": 1}),
        (AdaptiveBlend, {"covers": -0.5}),
        (AdaptiveBlend, {"test_alpha": 2}),
    ],
)
def test_wrong_settings(attack, settings):
    with pytest.raises(ConfigError, match=re.escape(str(next(iter(settings.values()))))):
        attack(**settings)
