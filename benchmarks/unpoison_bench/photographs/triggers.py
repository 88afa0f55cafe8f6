"""The triggers of the rows by name: they keep their proportions to the photograph, whatever its size."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from unpoison.attacks import SIG, Attack, BadNets, Blend, WaNet

from ..shipped import Added, Pasted, blended, opaque, trigger_array, trigger_picture

TOOLBOX = "backdoor_toolbox"


class Checkerboard(Attack):
    """A patch of black and white cells in the bottom right corner; the first cell is white.

    Args:
        share: side of the patch, as a share of the image's shorter side.
        cells: along each side.
    """

    name = "checkerboard"

    def __init__(self, share: float, cells: int) -> None:
        self.share, self.cells = share, cells

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        side = max(self.cells, round(self.share * min(images.shape[1:3])))
        cell = np.arange(side) * self.cells // side
        out = images.copy()
        out[:, -side:, -side:] = np.where((cell[:, None] + cell) % 2, 0, 255)[..., None]
        return out


class Warp(Attack):
    """WaNet's flow, which moves pixels by so much on average, down and across.

    Args:
        share: of the image's shorter side.
    """

    name = "warp"

    def __init__(self, share: float) -> None:
        self.share = share

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return WaNet(s=2 * self.share * min(images.shape[1:3])).stamp(images)


def make_attack(name: str) -> Attack:
    """An attack by its name.

    Raises:
        DatasetError: the published trigger is missing.
    """
    return TRIGGERS[name]()


def _masked(name: str, mask: str) -> Pasted:
    """With a mask of grey levels, as the published code lays it on."""
    return Pasted(trigger_picture(name), (trigger_picture(mask).max(2) / 255).astype(np.float32))


TRIGGERS: dict[str, Callable[[], Attack]] = {
    "patch-6": lambda: Checkerboard(0.06, cells=4),
    "patch-1.5": lambda: Checkerboard(0.015, cells=3),
    "blend": lambda: Blend(0.15, trigger_picture("refool_reflections/2008_000041-00.jpg")),
    "wave-6": lambda: SIG(frequency=6),
    "wave-48": lambda: SIG(frequency=48),
    "warp": lambda: Warp(0.02),
    "badnet-patch": lambda: _masked(f"{TOOLBOX}/badnet_patch_224.png", f"{TOOLBOX}/mask_badnet_patch_224.png"),
    "phoenix-corner": lambda: opaque(f"{TOOLBOX}/phoenix_corner_224.png"),
    "trojan-watermark": lambda: _masked(
        f"{TOOLBOX}/trojan_watermark_224.png", f"{TOOLBOX}/mask_trojan_watermark_224.png"
    ),
    "hello-kitty": lambda: blended(trigger_picture("backdoorbench_blended/hello_kitty.jpeg")),
    "low-frequency": lambda: Added(trigger_array("backdoorbench_lowfrequency/tiny_preactresnet18_0_255.npy")),
    "badnets": BadNets,
}
"""Makers of attacks by the names that the rows use."""
