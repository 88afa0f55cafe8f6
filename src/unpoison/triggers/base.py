"""`Estimate`: an explained poisoning transform, x' = a x + b or a warp, its inverse, and evidence of it in images."""

import math
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import rules
from ..training.loop import EVAL_BATCH, as_input
from .places import draw, locate, place
from .warp import Warp

Kind = Literal["patch", "moving patch", "blend", "periodic", "warp", "none"]
KINDS: tuple[Kind, ...] = ("patch", "moving patch", "blend", "periodic", "warp", "none")

_TAILS = 4.0
"""Degrees of freedom of the Student t distribution that describes discriminant scores: photographs have heavy
tails."""


class Estimate(nn.Module):
    """How the poisoned images were made, as far as pixel statistics explain it.

    The tensors are buffers, so that a restorer which holds an estimate saves and moves it with its weights.

    Args:
        kind: "patch" (pixels replaced, maybe over a pattern on the others), "moving patch" (pixels replaced, elsewhere
            in every image), "blend" (a pattern mixed into or added to all pixels), "periodic" (the pattern consists of
            a few waves), "warp" (pixels are taken from beside their places), or "none" (nothing explains the flagged
            images).
        shape: (H, W, C).

    Attributes:
        scale: float32 [C,H,W], a. A moving patch lies at the top left.
        shift: float32 [C,H,W], b, with grey levels in 0..1.
        tolerance: float32 [], patches: deviation from b that still counts as a match; blends and waves: the standard
            error of b, mean over the pixels.
        contrast: float32 [2]: patches: where a match is no evidence because the surroundings look the same.
        direction: float32 [C,H,W], linear discriminant of blends and waves.
        calibration: float32 [4]; of blends, waves and warps, see `log_odds`; of a moving patch, the first is the share
            of clean images that match by chance where it would stand out.
        warp: of kind "warp", else None.
    """

    scale: Tensor
    shift: Tensor
    tolerance: Tensor
    contrast: Tensor
    direction: Tensor
    calibration: Tensor

    def __init__(self, kind: Kind, shape: tuple[int, int, int]) -> None:
        super().__init__()
        height, width, channels = shape
        self.kind: Kind = kind
        self.shape = shape
        maps = (channels, height, width)
        self.register_buffer("scale", torch.ones(maps))
        self.register_buffer("shift", torch.zeros(maps))
        self.register_buffer("tolerance", torch.zeros(()))
        self.register_buffer("contrast", torch.zeros(2))
        self.register_buffer("direction", torch.zeros(maps))
        self.register_buffer("calibration", torch.tensor([0.0, 1.0, 0.0, 1.0]))
        self.warp = Warp(height, width) if kind == "warp" else None

    def set(self, **tensors: Tensor) -> Self:
        """Assigns buffers by name."""
        for name, value in tensors.items():
            getattr(self, name).copy_(value)
        return self

    @property
    def replaces(self) -> bool:
        """Whether pixels are lost under the trigger."""
        return self.kind in ("patch", "moving patch")

    @property
    def variation(self) -> float:
        """Of blends and waves: the standard deviation, between the images that carry the pattern, of how strongly they
        do, as a fraction of its mean. What an attacker stamps is the same in all images; what images of a kind have in
        common by themselves is not."""
        centre, spread, centre_in, spread_in = self.calibration.tolist()
        return float(math.sqrt(max(0.0, spread_in**2 - spread**2)) / max(centre_in - centre, 1e-9))

    def poison(self, images: Tensor) -> Tensor:
        """Stamps the estimated trigger on float images [B,C,H,W] in 0..1; a moving patch anywhere."""
        if self.warp is not None:
            warped: Tensor = self.warp(images)
            return warped.clamp(0, 1)
        scale, shift = self.scale, self.shift
        if self.kind == "moving patch":
            where = draw(len(images), self._hole)
            scale, shift = place(scale, *where), place(shift, *where)
        return (scale * images + shift).clamp(0, 1)

    def invert(self, images: Tensor) -> Tensor:
        """Takes the trigger off float images [B,C,H,W] in 0..1; replaced pixels are filled from around them."""
        if self.kind == "none":
            return images
        if self.warp is not None:
            return self.warp.undo(images).clamp(0, 1)
        if self.kind == "moving patch":
            return _fill(images, self.placed(images)[0])
        hole = self._hole
        mixed_in = ((images - self.shift) / torch.where(hole > 0, 1, self.scale)).clamp(0, 1)
        return _fill(mixed_in, hole[None])

    def log_odds(self, images: Tensor) -> Tensor:
        """Log-likelihood ratio [B] of "carries the trigger" over "does not", for float images [B,C,H,W] in 0..1."""
        if self.kind == "none":
            return images.new_zeros(len(images))
        return self._patch_log_odds(images) if self.replaces else self._score_log_odds(images)

    @torch.inference_mode()
    def evidence(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """`log_odds` of uint8 images [N,H,W,C] as float32 [N].

        Positive: the trigger is present. Between -3 and 3 the pixels do not decide (a white patch on white
        ground): keep what the detector said. Zero everywhere for kind "none".
        """
        device = self.scale.device
        chunks = (images[start : start + EVAL_BATCH] for start in range(0, len(images), EVAL_BATCH))
        found = [self.log_odds(as_input(torch.from_numpy(np.asarray(chunk)).to(device))).cpu() for chunk in chunks]
        return torch.cat(found).numpy() if found else np.empty(0, np.float32)

    @torch.inference_mode()
    def footprint(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Mean absolute change in grey levels, float32 [H,W] in 0..255, that stamping makes to uint8 [N,H,W,C]."""
        x = as_input(torch.from_numpy(np.asarray(images)).to(self.scale.device))
        change: npt.NDArray[np.float32] = (self.poison(x) - x).abs().mean((0, 1)).mul(255).float().cpu().numpy()
        return change

    def helps(self, images: npt.NDArray[np.uint8]) -> bool:
        """Whether taking a pattern off leaves less of an error, over the whole image, than leaving it on.

        What few images tell of a faint pattern may be wrong by more than the pattern changes.

        Args:
            images: clean, uint8 [N,H,W,C].
        """
        if self.kind not in ("blend", "periodic"):
            return True
        # Errors of a normal distribution have a mean size of .8 standard deviations.
        return 0.8 * float(self.tolerance) < float(self.footprint(images).mean()) / 255

    def placed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Where and what the patch is on float images [B,C,H,W]: float [1 or B,1,H,W], 1 where a pixel is replaced, and
        b, float [1 or B,C,H,W]."""
        hole = self._hole
        if self.kind == "moving patch":
            where = locate(images, hole, self.shift, self.tolerance)
            return place(hole, *where), place(self.shift, *where)
        return hole[None], self.shift[None]

    @property
    def _hole(self) -> Tensor:
        return (self.scale < rules.REPLACED).any(0, keepdim=True).float()

    def compare(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """How float images [B,C,H,W] look where the patch is.

        Returns:
            The share of its values that they show, float [B], and how much it would stand out of what surrounds it,
            float [B], a mean absolute difference in 0..1.
        """
        hole, shift = self.placed(images)
        shown = _mean_inside(((images - shift).abs() <= self.tolerance).float(), hole)
        return shown, _mean_inside((_fill(images, hole) - shift).abs(), hole)

    def _patch_log_odds(self, images: Tensor) -> Tensor:
        # A clean image matches by chance with probability `contrast[1]` where the patch would hardly show, and
        # practically never elsewhere, unless every place may match.
        elsewhere = self.calibration[0].clamp_min(1e-4)
        shown, contrast = self.compare(images)
        chance = torch.where(contrast < self.contrast[0], self.contrast[1], elsewhere)
        return torch.where(shown >= rules.PATCH_MATCHED, -chance.log(), math.log(1e-4))

    def scores(self, images: Tensor) -> Tensor:
        """Linear discriminant [B] of float images [B,C,H,W] in 0..1; of a warp, see `Warp.scores`."""
        if self.warp is not None:
            return self.warp.scores(images)
        return (images * self.direction).sum((1, 2, 3))

    def _score_log_odds(self, images: Tensor) -> Tensor:
        # calibration: location and scale of the scores of clean images, then of poisoned ones.
        clean, clean_scale, poisoned, poisoned_scale = self.calibration
        score = self.scores(images)
        return student(score, poisoned, poisoned_scale) - student(score, clean, clean_scale)


def student(score: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    """Log-density of Student's t, up to a constant."""
    return -scale.log() - (_TAILS + 1) / 2 * (1 + ((score - location) / scale).square() / _TAILS).log()


def _mean_inside(maps: Tensor, hole: Tensor) -> Tensor:
    """Mean [B] of maps [B,C,H,W] where the hole [1 or B,1,H,W] is 1."""
    return (maps * hole).sum((1, 2, 3)) / (hole.sum((1, 2, 3)) * maps.shape[1])


def _fill(images: Tensor, hole: Tensor) -> Tensor:
    """Averages known pixels with weights that fall with distance, from the border of a hole inwards."""
    known = 1 - hole
    out = images * known
    kernel = torch.tensor([1.0, 2.0, 1.0], device=images.device)
    kernel = (kernel[:, None] * kernel / 16)[None, None]
    for _ in range(max(images.shape[2:])):
        if bool(known.all()):
            break
        weight = F.conv2d(known, kernel, padding=1)
        blurred = F.conv2d(out.flatten(0, 1)[:, None], kernel, padding=1).view_as(out)
        border = ((weight > 0) & (known == 0)).float()
        out = out + border * blurred / weight.clamp_min(1e-6)
        known = known + border
    return out
