"""The attacks of the sets by name: ours, and triggers as published works ship them, from $UNPOISON_DATA/triggers."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from unpoison.attacks import Attack, Blend, Refool
from unpoison.attacks.base import Images, Labels
from unpoison.data.pixels import resize
from unpoison.errors import DatasetError

from ..data import images_file
from ..runs import VARIANTS

REFLECTION_SIDE = 64
"""Reflections are kept in this size, as large as the images that they are laid over."""


class Pasted(Attack):
    """Lays a picture over images where a mask says so.

    Args:
        picture: uint8 [h,w,3].
        mask: float32 [h,w], opacity in 0..1.
        share: side of the picture as a share of the image's shorter side, in the bottom right corner; None stretches it
            over the whole image.
        clean_label: whether images of the target class are stamped, which keep their labels.
    """

    name = "pasted"

    def __init__(
        self,
        picture: npt.NDArray[np.uint8],
        mask: npt.NDArray[np.float32],
        share: float | None = None,
        clean_label: bool = False,
    ) -> None:
        self.picture, self.mask, self.share, self.clean_label = picture, mask, share, clean_label

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        height, width, channels = images.shape[1:]
        tall, wide = height, width
        if self.share is not None:
            tall = wide = max(2, round(self.share * min(height, width)))
        picture = resize(self.picture, tall, wide).astype(np.float32)
        if channels == 1:
            picture = picture.mean(2, keepdims=True)
        opacity = resize(np.rint(255 * self.mask).astype(np.uint8)[..., None], tall, wide).astype(np.float32) / 255
        out = images.copy()
        corner = out[:, height - tall :, width - wide :]
        corner[:] = (1 - opacity) * corner + opacity * picture
        return out


class Added(Attack):
    """Adds a pattern to images.

    Args:
        pattern: float32 [h,w,3], grey levels; images have to be of this size.
        clean_label: whether images of the target class are stamped, which keep their labels.
        at_test_times: how many times stronger test images are stamped.
    """

    name = "added"

    def __init__(self, pattern: npt.NDArray[np.float32], clean_label: bool = False, at_test_times: float = 1.0) -> None:
        self.pattern, self.clean_label, self.at_test_times = pattern, clean_label, at_test_times

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if images.shape[1:] != self.pattern.shape:
            raise DatasetError(f"the pattern is made for images of {list(self.pattern.shape)}: resize them")
        return images + self.pattern

    def at_test(self, images: Images, labels: Labels) -> Attack:
        """The stronger one."""
        attack = copy.copy(self)
        attack.pattern = self.at_test_times * self.pattern
        return attack


def make_attack(name: str) -> Attack:
    """An attack by its name.

    Raises:
        DatasetError: the published trigger is missing.
    """
    return TRIGGERS[name]()


def _path(name: str) -> Path:
    path = images_file("cifar10", "train").parents[1] / "triggers" / name
    if not path.exists():
        raise DatasetError(f"set UNPOISON_DATA to a folder that holds triggers/{name}, too")
    return path


def _picture(name: str) -> npt.NDArray[np.uint8]:
    """uint8 [h,w,3]."""
    with Image.open(_path(name)) as image:
        return np.array(image.convert("RGB"))


def _array(name: str) -> npt.NDArray[np.float32]:
    """float32 [h,w,3] of grey levels; some files have fractions of 255, some a leading axis, some their channels
    first."""
    array = np.load(_path(name), allow_pickle=False)
    levels: npt.NDArray[np.float32] = array.astype(np.float32) * (1 if array.dtype == np.uint8 else 255)
    levels = levels.reshape(levels.shape[-3:]) if levels.ndim == 4 else levels
    return levels.transpose(1, 2, 0) if levels.shape[0] == 3 else levels


def _opaque(name: str, share: float | None = None, mask: str | None = None, clean_label: bool = False) -> Pasted:
    """Without a mask, what is not black is pasted, as the published code does."""
    picture = _picture(name)
    where = (picture if mask is None else _picture(mask)).max(2) > 0
    return Pasted(picture, where.astype(np.float32), share, clean_label)


def _patch(name: str, share: float) -> Pasted:
    """A square picture as a whole."""
    picture = _picture(name)
    mask: npt.NDArray[np.float32] = np.ones(picture.shape[:2], np.float32)
    return Pasted(picture, mask, share)


def _cut_out(name: str, share: float) -> Pasted:
    """A picture whose file says where it is opaque."""
    with Image.open(_path(name)) as image:
        pixels = np.asarray(image.convert("RGBA"))
    mask = (pixels[..., 3] / 255).astype(np.float32)
    return Pasted(pixels[..., :3], mask, share)


def _blended(pattern: npt.NDArray[np.uint8], alpha: float = 0.2, clean_label: bool = False) -> Blend:
    attack = Blend(alpha, pattern)
    attack.clean_label = clean_label
    return attack


def _sine() -> Blend:
    """ABL's SIG on CIFAR-10: a wave that is mixed in rather than added."""
    wave = np.load(_path("abl/signal_cifar10_mask.npy"), allow_pickle=False)
    return _blended(np.repeat(wave[..., None], 3, 2), clean_label=True)


def _reflections() -> Refool:
    """Refool with the photographs that BackdoorBench reflects."""
    files = sorted(_path("refool_reflections").iterdir())
    pictures = [_picture(f"refool_reflections/{file.name}") for file in files]
    return Refool().fit(np.stack([resize(picture, REFLECTION_SIDE, REFLECTION_SIDE) for picture in pictures]))


_TOOLBOX, _KITTY = "backdoor_toolbox", "backdoorbench_blended/hello_kitty.jpeg"
_SQUARE = (f"{_TOOLBOX}/trojan_square_32.png", None, f"{_TOOLBOX}/mask_trojan_square_32.png")
TRIGGERS: dict[str, Callable[[], Attack]] = {
    **VARIANTS,
    "hello_kitty": lambda: _blended(_picture(_KITTY)),
    "hello_kitty_clean_label": lambda: _blended(_picture(_KITTY), 0.3, clean_label=True),
    "firefox_corner": lambda: _opaque(f"{_TOOLBOX}/firefox_corner_32.png"),
    "phoenix_corner": lambda: _opaque(f"{_TOOLBOX}/phoenix_corner_32.png"),
    "trojan_watermark": lambda: _opaque(f"{_TOOLBOX}/trojan_watermark_32.png"),
    "trojan_square": lambda: _opaque(*_SQUARE),
    "trojan_square_clean_label": lambda: _opaque(*_SQUARE, clean_label=True),
    "grid_patch": lambda: _opaque("backdoorbench_badnet/trigger_image_grid.png"),
    "sleeper_patch": lambda: _patch("sleeper_agent/trigger_10.png", share=0.25),
    "bomb": lambda: _cut_out("badnets_objects/bomb_nobg.png", share=0.25),
    "sine_mask": _sine,
    "low_frequency": lambda: Added(_array("backdoorbench_lowfrequency/gtsrb_preactresnet18_0_255.npy")),
    "low_frequency_vgg": lambda: Added(_array("backdoorbench_lowfrequency/gtsrb_vgg19_0_255.npy")),
    "narcissus": lambda: Added(_array("narcissus/resnet18_trigger.npy"), clean_label=True, at_test_times=3),
    "reflections": _reflections,
}
"""Makers of attacks by the names that the sets use."""
