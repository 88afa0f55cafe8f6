"""Refool (Liu et al., ECCV 2020, arXiv 2007.02343): reflections of other images, with the labels left right."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ..checks import Positive, Seed, checked
from .base import Attack, Images, Labels, draw_other, rng_of

GHOST_RATE, GAMMA = 0.49, 2.2
STRENGTH, SIGMA, SHIFT, GHOST_ALPHA, ATTENUATION = (0.05, 0.45), (1.0, 5.0), (3, 8), (0.15, 0.5), (1.08, 1.18)
"""Ranges of the published uniform draws; see `Refool.stamp`."""


@checked
class Refool(Attack):
    """Lays the reflection of another image over images of the target class (clean-label attack).

    Both images are taken to linear light, mixed and taken back. A reflection is a ghost, two shifted copies as of
    thick glass, with the published probability of 0.49, else it is out of focus, strongest in the middle.

    What we changed: the paper picks 200 reflections out of a set of other photographs, by how well they work on a
    trained model, in several rounds. Ours are random images of the poisoned dataset. The paper enlarges images to
    560 pixels before it blends; ours keep their size, and the lengths are scaled instead.

    Args:
        reflections: how many images serve as reflections, published 200.
        size: longer side in pixels of the images that the published blur (1 to 5) and shift (3 to 8) are meant for.
        seed: of the choice of reflections and of everything drawn per image.
    """

    name = "refool"
    clean_label = True

    def __init__(self, reflections: Positive = 200, size: Positive = 560, seed: Seed = 0) -> None:
        self.reflections, self.size, self.seed = reflections, size, seed
        self._reflections: Images | None = None

    @property
    def fitted(self) -> bool:
        return self._reflections is not None

    def needed(self, labels: Labels) -> npt.NDArray[np.int64]:
        """Random ones, of whatever class."""
        return np.random.default_rng(self.seed).permutation(len(labels))[: self.reflections]

    def learn(self, images: Images) -> None:
        """Keeps uint8 images [M,H,W,C] as reflections."""
        self._reflections = images

    def stamp(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert self._reflections is not None
        scale = max(images.shape[1:3]) / self.size
        out = np.empty_like(images)
        for place, image in enumerate(images):
            rng = rng_of(image, self.seed)
            other = draw_other(self._reflections, image, rng)
            background, reflection = (_planes(pixels).div(255).pow(GAMMA) for pixels in (image, other))
            alpha = 1 - rng.uniform(*STRENGTH)
            ghost = rng.random() < GHOST_RATE
            make = _ghost if ghost else _out_of_focus
            mixed = alpha * background + make(reflection, background, alpha, scale, rng)
            out[place] = 255 * mixed.clamp(0, 1).pow(1 / GAMMA)[0].permute(1, 2, 0).numpy()
        return out


def _planes(image: npt.NDArray[np.float32]) -> torch.Tensor:
    """[H,W,C] as [1,C,H,W]."""
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def _ghost(
    reflection: torch.Tensor, background: torch.Tensor, alpha: float, scale: float, rng: np.random.Generator
) -> torch.Tensor:
    """Two copies of a reflection [1,C,H,W], one of them shifted down and to the right, cropped to where both are."""
    height, width = reflection.shape[2:]
    down, right = (int(rng.integers(*SHIFT, endpoint=True)) * scale for _ in range(2))
    weight = rng.uniform(*GHOST_ALPHA)
    if rng.random() < 0.5:
        weight = 1 - weight
    # Centres of the pixels of the crop, enlarged to the whole image, in pixels from its own corner.
    y = (torch.arange(height) + 0.5) * (1 - down / height)
    x = (torch.arange(width) + 0.5) * (1 - right / width)
    copies = [_sample(reflection, y + down, x + right), _sample(reflection, y, x)]
    return (weight * copies[0] + (1 - weight) * copies[1]) * (1 - alpha)


def _sample(image: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """An image [1,C,H,W] at rows y [H] and columns x [W], in pixels from its corner."""
    height, width = image.shape[2:]
    rows, columns = torch.meshgrid(y / height * 2 - 1, x / width * 2 - 1, indexing="ij")
    grid = torch.stack([columns, rows], -1)[None]
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _out_of_focus(
    reflection: torch.Tensor, background: torch.Tensor, alpha: float, scale: float, rng: np.random.Generator
) -> torch.Tensor:
    """A blurred reflection [1,C,H,W], darkened where it would overexpose and towards the borders."""
    # Takes a second to import, which all other attacks would pay for.
    from torchvision.transforms.functional import gaussian_blur

    height, width = reflection.shape[2:]
    sigma = rng.uniform(*SIGMA) * scale
    # Twice the deviation to each side, as published; a reflection of the borders needs a kernel below twice the side.
    reach = min(int(np.ceil(2 * sigma)), min(height, width) - 1)
    blurred = gaussian_blur(reflection, [2 * reach + 1] * 2, [sigma] * 2)
    total = blurred + background
    over = total > 1
    excess = ((total * over).sum((2, 3)) / over.sum((2, 3)).clamp(min=1) - 1).clamp(min=0)
    blurred = (blurred - excess[..., None, None] * rng.uniform(*ATTENUATION)).clamp(0, 1)
    # The root of a normal density out to three deviations, over a square as large as the longer side.
    side = max(height, width)
    fade = torch.exp(-(torch.linspace(-3, 3, side) ** 2) / 4)
    top, left = (int(rng.integers(side - length, endpoint=True)) for length in (height, width))
    faded: torch.Tensor = blurred * fade[top : top + height, None] * fade[left : left + width] * (1 - alpha / 2)
    return faded
