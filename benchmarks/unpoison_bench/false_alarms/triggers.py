"""The attacks of the sets by name: ours, and triggers as published works ship them, from $UNPOISON_DATA/triggers."""

from collections.abc import Callable

import numpy as np

from unpoison.attacks import Attack, Blend, Refool
from unpoison.data.pixels import resize

from ..runs import VARIANTS
from ..shipped import Added, blended, cut_out, opaque, patch, trigger_array, trigger_path, trigger_picture

REFLECTION_SIDE = 64
"""Reflections are kept in this size, as large as the images that they are laid over."""


def make_attack(name: str) -> Attack:
    """An attack by its name.

    Raises:
        DatasetError: the published trigger is missing.
    """
    return TRIGGERS[name]()


def _sine() -> Blend:
    """ABL's SIG on CIFAR-10: a wave that is mixed in rather than added."""
    wave = np.load(trigger_path("abl/signal_cifar10_mask.npy"), allow_pickle=False)
    return blended(np.repeat(wave[..., None], 3, 2), clean_label=True)


def _reflections() -> Refool:
    """Refool with the photographs that BackdoorBench reflects."""
    files = sorted(trigger_path("refool_reflections").iterdir())
    pictures = [trigger_picture(f"refool_reflections/{file.name}") for file in files]
    return Refool().fit(np.stack([resize(picture, REFLECTION_SIDE, REFLECTION_SIDE) for picture in pictures]))


_TOOLBOX, _KITTY = "backdoor_toolbox", "backdoorbench_blended/hello_kitty.jpeg"
_SQUARE = (f"{_TOOLBOX}/trojan_square_32.png", None, f"{_TOOLBOX}/mask_trojan_square_32.png")
TRIGGERS: dict[str, Callable[[], Attack]] = {
    **VARIANTS,
    "hello_kitty": lambda: blended(trigger_picture(_KITTY)),
    "hello_kitty_clean_label": lambda: blended(trigger_picture(_KITTY), 0.3, clean_label=True),
    "firefox_corner": lambda: opaque(f"{_TOOLBOX}/firefox_corner_32.png"),
    "phoenix_corner": lambda: opaque(f"{_TOOLBOX}/phoenix_corner_32.png"),
    "trojan_watermark": lambda: opaque(f"{_TOOLBOX}/trojan_watermark_32.png"),
    "trojan_square": lambda: opaque(*_SQUARE),
    "trojan_square_clean_label": lambda: opaque(*_SQUARE, clean_label=True),
    "grid_patch": lambda: opaque("backdoorbench_badnet/trigger_image_grid.png"),
    "sleeper_patch": lambda: patch("sleeper_agent/trigger_10.png", share=0.25),
    "bomb": lambda: cut_out("badnets_objects/bomb_nobg.png", share=0.25),
    "sine_mask": _sine,
    "low_frequency": lambda: Added(trigger_array("backdoorbench_lowfrequency/gtsrb_preactresnet18_0_255.npy")),
    "low_frequency_vgg": lambda: Added(trigger_array("backdoorbench_lowfrequency/gtsrb_vgg19_0_255.npy")),
    "narcissus": lambda: Added(trigger_array("narcissus/resnet18_trigger.npy"), clean_label=True, at_test_times=3),
    "reflections": _reflections,
}
"""Makers of attacks by the names that the sets use."""
