"""What every kind of trigger does, whoever wrote it, and how kinds become known."""

import functools
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from batches import as_batch, as_images
from unpoison.attacks import SIG, BadNets, Blend
from unpoison.errors import ConfigError
from unpoison.triggers import Comparison, Patch, Reference, Trigger, get_trigger, register_trigger, registry, triggers
from unpoison.triggers.flow import Flow
from unpoison.triggers.resizing import resized


def bent(images):
    """Images that are warped by up to a pixel."""
    flow = Flow(*images.shape[1:3])
    waves = torch.linspace(0, 5, images.shape[1]).sin()
    flow.flow[0], flow.flow[1] = waves, waves[:, None]
    return as_images(flow(as_batch(images)))


ATTACKS = {
    "patch": BadNets(3),
    "moving patch": BadNets(4, dynamic=True),
    "blend": Blend(0.3),
    "periodic": SIG(30, 2.3),
    "warp": bent,
}
SHAPE, NATIVE = (16, 16, 1), (32, 32)
KINDS = pytest.mark.parametrize("kind", triggers(), ids=lambda trigger: trigger.kind)
COUNT, SUSPECTS, HELD_OUT = 2700, 60, 100


class Photos(NamedTuple):
    native: torch.Tensor
    """[N,C,H,W] in 0..1."""
    images: np.ndarray
    """The same at a smaller size, uint8 [N,H,W,C]."""


@pytest.fixture(scope="module")
def photos():
    """Brightness and detail by chance, and both ends of the range now and then, as photographs have them."""
    rng = torch.Generator().manual_seed(0)
    detail, light = torch.randn(COUNT, 1, *SHAPE[:2], generator=rng), torch.randn(COUNT, 1, 1, 1, generator=rng)
    native = resized((0.5 + 0.12 * detail + 0.3 * light).clamp(0, 1), NATIVE)
    return Photos(native, as_images(resized(native, SHAPE[:2])))


def comparison_of(images, suspects):
    clean = np.arange(SUSPECTS, len(images) - HELD_OUT)
    reference = Reference(images[clean[:800]], np.ones(800, np.int64), images, clean, np.random.default_rng(0))
    return Comparison(suspects, reference, 0.02, {}, seed=0)


@pytest.fixture(scope="module")
def found(photos):
    """By kind, the trigger that the kind itself finds under an attack of its own; each is looked for once."""

    @functools.cache
    def find(kind: type[Trigger]) -> Trigger:
        suspects = ATTACKS[kind.kind](photos.images[:SUSPECTS])
        trigger = kind.find(comparison_of(photos.images, suspects))
        assert trigger is not None
        return trigger

    return find


def error(one, other):
    return float((one - other).abs().mean())


@KINDS
def test_says_what_it_is(kind, found):
    trigger = found(kind)
    assert type(trigger) is kind
    assert trigger.shape == SHAPE
    assert trigger.kind in ATTACKS
    assert trigger.description == trigger.description.strip(". ")
    assert all(tensor.dtype == torch.float32 for tensor in trigger.state_dict().values())


@KINDS
def test_clean_images_show_none(kind, photos):
    assert kind.find(comparison_of(photos.images, photos.images[:SUSPECTS])) is None


@KINDS
def test_what_was_stamped_is_taken_off(kind, photos, found):
    trigger = found(kind)
    x = 0.3 + 0.4 * as_batch(photos.images[-HELD_OUT:])  # nothing is clipped
    stamped = trigger.stamp(x)
    known = 1 - trigger.hole(stamped)
    assert stamped.shape == x.shape
    assert error(stamped, x) > 0.5 / 255
    assert bool((known < 1).any()) == trigger.replaces
    assert error(trigger.invert(stamped) * known, x * known) < 0.5 * error(stamped, x)
    if trigger.replaces:
        torch.testing.assert_close(stamped * known, x * known)


@KINDS
def test_evidence_separates_stamped_images_from_others(kind, photos, found):
    trigger = found(kind)
    clean = photos.images[-HELD_OUT:]
    stamped = as_images(trigger.stamp(as_batch(clean)))
    assert trigger.evidence(clean).dtype == np.float32
    assert (trigger.evidence(stamped) > 0).mean() > 0.8
    assert (trigger.evidence(clean) > 0).mean() < 0.1
    assert trigger.footprint(clean).shape == SHAPE[:2]
    assert trigger.helps(clean)
    assert not trigger.copies


@KINDS
def test_saved_and_loaded_triggers_agree_bit_by_bit(kind, photos, found):
    trigger = found(kind)
    again = get_trigger(kind.kind)(trigger.shape)
    again.load_state_dict(load(save(trigger.state_dict())), strict=True)
    x = as_batch(photos.images[-20:])
    for one, other in ((trigger, again), (again, trigger)):
        torch.manual_seed(0)
        stamped = one.stamp(x)
        torch.manual_seed(0)
        assert torch.equal(other.stamp(x), stamped)
        assert torch.equal(other.invert(stamped), one.invert(stamped))
        assert torch.equal(other.log_odds(stamped), one.log_odds(stamped))


@KINDS
def test_for_another_size_it_is_scaled_as_the_image_is(kind, photos, found):
    trigger = found(kind)
    before = {name: tensor.clone() for name, tensor in trigger.state_dict().items()}
    larger = trigger.at(NATIVE)
    native = photos.native[-HELD_OUT:]
    x, stamped = resized(native, SHAPE[:2]), larger.stamp(native)
    assert larger.shape == (*NATIVE, 1)
    changed = error(trigger.stamp(x), x)
    if trigger.moves:
        assert abs(error(stamped, native) - changed) < 0.2 * changed
    else:
        assert error(resized(stamped, SHAPE[:2]), trigger.stamp(x)) < 0.5 * changed
    assert all(torch.equal(trigger.state_dict()[name], tensor) for name, tensor in before.items())
    assert trigger.at((23, 19)).stamp(torch.rand(2, 1, 23, 19)).shape == (2, 1, 23, 19)


@pytest.mark.parametrize("kind", ["patch", "moving patch", "blend", "periodic"])
def test_evidence_at_another_size(kind, photos, found):
    # A warp is told by the detail that it leaves at the size at which it was made.
    larger, native = found(get_trigger(kind)).at(NATIVE), photos.native[-HELD_OUT:]
    stamped, clean = larger.log_odds(larger.stamp(native)), larger.log_odds(native)
    assert float((stamped > 0).float().mean() - (clean > 0).float().mean()) > 0.7


# The registry.


def test_order_of_the_search():
    assert [trigger.kind for trigger in triggers()] == ["patch", "periodic", "blend", "moving patch", "warp"]


def test_a_kind_of_ones_own(own_registry):
    class Mine(Patch):
        kind, description, order = "mine", "a patch of mine", 5

    assert register_trigger(Mine) is Mine
    assert register_trigger(Mine) is Mine
    assert triggers()[0] is get_trigger("mine") is Mine


def test_unknown_kind():
    with pytest.raises(ConfigError, match=r"unknown kind of trigger 'magic': choose one of patch, .*install or import"):
        get_trigger("magic")


def named(kind, words="something"):
    class Named(Patch):
        pass

    Named.kind, Named.description = kind, words
    return Named


class Unfinished(Trigger):
    kind, description = "unfinished", "something"

    def stamp(self, images):
        return images


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (object, "register a subclass of unpoison.Trigger"),
        (Unfinished, "Unfinished lacks at, find, invert, log_odds"),
        (named("patch"), "'patch' is taken"),
        (named("none"), "'none' is taken"),
        (named(""), "Named.kind is ''"),
        (named("mine", None), "Named.description is None"),
    ],
)
def test_what_is_no_kind_is_refused(wrong, message, own_registry):
    with pytest.raises(ConfigError, match=message):
        register_trigger(wrong)
    assert set(registry._KINDS) == set(ATTACKS)


class Point:
    """As importlib.metadata has them."""

    name, value, group, dist = "theirs", "theirs.module:Theirs", "unpoison.triggers", None

    def __init__(self, load):
        self.load = load


def offer(monkeypatch, load):
    monkeypatch.setattr(registry, "entry_points", lambda group: [Point(load)] * (group == "unpoison.triggers"))


def test_kinds_of_other_packages_are_known(own_registry, monkeypatch):
    offer(monkeypatch, lambda: named("theirs"))
    assert get_trigger("theirs") in triggers()


def test_a_package_whose_kind_cannot_be_used_is_named(own_registry, monkeypatch):
    def missing():
        raise ImportError("no module named theirs")

    offer(monkeypatch, missing)
    with pytest.raises(
        ConfigError, match=r"theirs.module:Theirs \(unpoison.triggers\) cannot be used \(no module named theirs\)"
    ):
        triggers()
