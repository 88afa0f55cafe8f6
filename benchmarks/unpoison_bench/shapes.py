"""Images of any size and mode: as arrays, and in one shape."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from unpoison.data.labelled import LabelledImages
from unpoison.data.pixels import resize

Pixels = npt.NDArray[np.uint8]


def working_shape(data: Any) -> tuple[int, int, int]:
    """[H,W,C]: the images' own where they agree, else the median of their sides, in colour."""
    shapes = np.array([pixels_of(data[index][0]).shape for index in range(len(data))])
    height, width = np.median(shapes[:, :2], axis=0).astype(int).tolist()
    return height, width, int(shapes[:, 2].max())


def of_shape(data: Any, shape: tuple[int, ...]) -> LabelledImages:
    """A dataset's images in one shape [H,W,C], with C at least that of each image, as uint8 [N,H,W,C], read one
    at a time."""
    height, width, channels = shape
    images, labels = np.empty((len(data), height, width, channels), np.uint8), np.empty(len(data), np.int64)
    for index in range(len(data)):
        image, labels[index] = data[index]
        images[index] = resize(pixels_of(image), height, width)
    return LabelledImages(images, labels)


def pixels_of(image: Image.Image | Pixels) -> Pixels:
    """uint8 [H,W,C]."""
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
