"""Triggers as published works ship them, from $UNPOISON_DATA/triggers, and the attacks that stamp them."""

import copy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from unpoison.attacks import Attack, Blend
from unpoison.attacks.base import Images, Labels
from unpoison.data.pixels import resize
from unpoison.errors import DatasetError
from unpoison.triggers.resizing import resized

from .data import images_file


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
    """Adds a pattern to images, stretched over them.

    Args:
        pattern: float32 [h,w,3], grey levels.
        clean_label: whether images of the target class are stamped, which keep their labels.
        at_test_times: how many times stronger test images are stamped.
    """

    name = "added"

    def __init__(self, pattern: npt.NDArray[np.float32], clean_label: bool = False, at_test_times: float = 1.0) -> None:
        self.pattern, self.clean_label, self.at_test_times = pattern, clean_label, at_test_times

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        height, width, channels = images.shape[1:]
        pattern = self.pattern
        if pattern.shape[:2] != (height, width):
            stretched = resized(torch.from_numpy(pattern).permute(2, 0, 1)[None], (height, width))[0]
            pattern = stretched.permute(1, 2, 0).numpy()
        return images + (pattern.mean(2, keepdims=True) if channels == 1 else pattern)

    def at_test(self, images: Images, labels: Labels) -> Attack:
        """The stronger one."""
        attack = copy.copy(self)
        attack.pattern = self.at_test_times * self.pattern
        return attack


def trigger_path(name: str) -> Path:
    """Where a file lies.

    Raises:
        DatasetError: it is missing.
    """
    path = images_file("cifar10", "train").parents[1] / "triggers" / name
    if not path.exists():
        raise DatasetError(f"set UNPOISON_DATA to a folder that holds triggers/{name}, too")
    return path


def trigger_picture(name: str) -> npt.NDArray[np.uint8]:
    """uint8 [h,w,3]."""
    with Image.open(trigger_path(name)) as image:
        return np.array(image.convert("RGB"))


def trigger_array(name: str) -> npt.NDArray[np.float32]:
    """float32 [h,w,3] of grey levels; some files have fractions of 255, some a leading axis, some their channels
    first."""
    array = np.load(trigger_path(name), allow_pickle=False)
    levels: npt.NDArray[np.float32] = array.astype(np.float32) * (1 if array.dtype == np.uint8 else 255)
    levels = levels.reshape(levels.shape[-3:]) if levels.ndim == 4 else levels
    return levels.transpose(1, 2, 0) if levels.shape[0] == 3 else levels


def opaque(name: str, share: float | None = None, mask: str | None = None, clean_label: bool = False) -> Pasted:
    """Without a mask, what is not black is pasted, as the published code does."""
    picture = trigger_picture(name)
    where = (picture if mask is None else trigger_picture(mask)).max(2) > 0
    return Pasted(picture, where.astype(np.float32), share, clean_label)


def patch(name: str, share: float) -> Pasted:
    """A square picture as a whole."""
    picture = trigger_picture(name)
    mask: npt.NDArray[np.float32] = np.ones(picture.shape[:2], np.float32)
    return Pasted(picture, mask, share)


def cut_out(name: str, share: float) -> Pasted:
    """A picture whose file says where it is opaque."""
    with Image.open(trigger_path(name)) as image:
        pixels = np.asarray(image.convert("RGBA"))
    mask = (pixels[..., 3] / 255).astype(np.float32)
    return Pasted(pixels[..., :3], mask, share)


def blended(pattern: npt.NDArray[np.uint8], alpha: float = 0.2, clean_label: bool = False) -> Blend:
    """A picture, uint8 [h,w,3], mixed into every pixel."""
    attack = Blend(alpha, pattern)
    attack.clean_label = clean_label
    return attack
